// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/io/json_text.hpp>

#include <limits>
#include <string>
#include <vector>

#include <icrl/io/json.hpp>

#include "support/catch.hpp"
#include "support/decimal_comma.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("Values become the JSON text that they are", "[io]") {
  CHECK(JsonText{"a"}.text() == R"("a")");
  CHECK(JsonText{true}.text() == "true");
  CHECK(JsonText{-3}.text() == "-3");
  CHECK(JsonText{std::numeric_limits<std::uint64_t>::max()}.text() == "18446744073709551615");
  CHECK(JsonText{std::vector<int>{}}.text() == "[]");
  CHECK(JsonText{std::vector<std::string>{"", "b"}}.text() == R"(["","b"])");
  CHECK(json_object({}).text() == "{}");
  CHECK(json_object({{"b", 1}, {"a", json_object({{"c", std::vector<double>{1, 0.5}}})}}).text() ==
        R"({"b":1,"a":{"c":[1.0,0.5]}})");
}

TEST_CASE("Numbers with a fraction come back as they were", "[io]") {
  const DecimalComma comma;
  CHECK(JsonText{1.0}.text() == "1.0");
  CHECK(JsonText{1e300}.text() == "1e+300");
  CHECK(JsonText{std::numeric_limits<double>::infinity()}.text() == "null");
  for (const double number : {0.1, -0.0, 1.0 / 3, 123456789012345680.0, 5e-324, 1.7976931348623157e308}) {
    const Json json = parse_json(JsonText{number}.text(), "number");
    CHECK(json.is_number_float());
    CHECK(json.get<double>() == number);
  }
}

TEST_CASE("Strings are written as the JSON library writes them, and refused where it refuses them", "[io]") {
  std::vector<std::string> texts{"", "plain", "\"\\/\b\f\n\r\t\x01\x1f\x7f", std::string(1, '\0')};
  for (int first = 0; first < 256; ++first) {
    for (const int second : {-1, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC2}) {
      std::string text{"x"};
      text += static_cast<char>(first);
      if (second >= 0) text += static_cast<char>(second);
      for (const char* rest : {"", "\x80", "\x80\x80", "\x80z"}) texts.push_back(text + rest);
    }
  }

  for (const std::string& text : texts) {
    std::string ours, theirs;
    const std::string our_error = error_of([&] { ours = JsonText{text}.text(); }),
                      their_error = error_of([&] { theirs = to_text(Json(text), "text"); });
    CAPTURE(theirs, their_error);
    REQUIRE(ours == theirs);
    REQUIRE((our_error.empty() ? "" : "text: " + our_error) == their_error);
  }
}
