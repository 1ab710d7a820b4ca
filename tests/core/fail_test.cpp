// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/core/fail.hpp>

#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;

TEST_CASE("fail throws an Error with the formatted text", "[core]") {
  CHECK(test::error_of([] { fail("file \"{}\": {} bytes, {} wanted", "a", 3, 4); }) == "file \"a\": 3 bytes, 4 wanted");
}

TEST_CASE("An Error can be caught as any runtime error", "[core]") { CHECK_THROWS_AS(fail("no"), std::runtime_error); }

TEST_CASE("The middle of a huge text is left out, between whole characters", "[core]") {
  const std::string whole(4000, 'a'), huge = "begin " + std::string(100'000, 'b') + " end";
  CHECK(test::error_of([&] { fail("{}", whole); }) == whole);

  const std::string text = test::error_of([&] { fail("{}", huge); });

  CHECK(text.size() < 4000);
  CHECK(text.rfind("begin bbb", 0) == 0);
  CHECK(test::has(text, "bbb [... 96410 characters left out ...] bbb"));
  CHECK(text.substr(text.size() - 7) == "bbb end");
  for (const std::string before : {"", "a", "aa"}) {
    std::string euros = before;
    for (int i = 0; i < 3000; ++i) euros += "\xE2\x82\xAC";
    const std::string cut = test::error_of([&] { fail("{}", euros); });
    CHECK(test::has(cut, "\xE2\x82\xAC [..."));
    CHECK(test::has(cut, "...] \xE2\x82\xAC"));
  }
}

TEST_CASE("Of many values the first few are shown", "[core]") {
  CHECK(shortened(std::vector<int>{}).empty());
  CHECK(shortened(std::vector<int>(12, 7)) == "7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7");
  CHECK(shortened(std::vector<float>{1, 2, 3, 0.5f, 5, 6, 7, 8, 9, 10, 11, 12, 13}) == "1, 2, 3, 0.5, ... (13 in all)");
}

TEST_CASE("joined puts a separator between values and nowhere else", "[core]") {
  CHECK(joined(std::vector<float>{1, -0.5f, 1e30f}, ", ") == "1, -0.5, 1e+30");
  CHECK(joined(std::vector<std::string>{"", "a", ""}, "/") == "/a/");
  CHECK(joined(std::vector<int>{}, ", ").empty());
}
