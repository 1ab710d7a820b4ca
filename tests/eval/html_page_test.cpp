// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/eval/html_page.hpp>

#include <string>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("The page's script finds every element that it names", "[eval]") {
  const std::string script{detail::html_script}, body{detail::html_body};
  int found = 0;

  for (std::size_t at = script.find("$(\""); at != std::string::npos; at = script.find("$(\"", at + 1)) {
    const std::string name = script.substr(at + 3, script.find('"', at + 3) - at - 3);
    INFO(name);
    CHECK(body.find("id=\"" + name + "\"") != std::string::npos);
    ++found;
  }

  CHECK(found > 20);
}

TEST_CASE("The page's text loads nothing and ends no script", "[eval]") {
  for (const std::string_view part : {detail::html_style, detail::html_body, detail::html_script}) {
    for (const char* const word :
         {"http", "src=", "href", "@import", "url(", "fetch", "</script", "</style", "innerHTML"}) {
      INFO(word);
      CHECK(part.find(word) == std::string_view::npos);
    }
  }
}
