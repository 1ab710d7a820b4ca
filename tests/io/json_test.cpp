// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/io/json.hpp>

#include <ctime>

#include "support/catch.hpp"
#include "support/decimal_comma.hpp"
#include "support/histories.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

std::string error_of_text(const std::string& text) {
  return error_of([&] { (void)parse_json(text, "notes"); });
}

std::string nested(int depth) {
  return std::string(static_cast<std::size_t>(depth), '[') + std::string(static_cast<std::size_t>(depth), ']');
}

}  // namespace

TEST_CASE("JSON is read and written back", "[io]") {
  const std::string text = R"({"a":[1,2.5,"x"],"b":{"a":true}})";

  CHECK(to_text(parse_json(text, "notes"), "notes") == text);
}

TEST_CASE("A key that an object has twice is refused, the same key in two objects is not", "[io]") {
  CHECK(error_of_text(R"({"a": 1, "b": {"a": 2}, "c": [{"a": 1}, {"a": 1}]})").empty());
  CHECK(error_of_text(R"({"a": 1, "b": 2, "a": 3})") == "notes: JSON has the key \"a\" twice in one object");
  CHECK(error_of_text(R"([{"x": {"y": 1, "y": 1}}])") == "notes: JSON has the key \"y\" twice in one object");
  CHECK(error_of_text("{\"a\": 1, \"\\u0061\": 2}") == "notes: JSON has the key \"a\" twice in one object");
}

TEST_CASE("JSON may be 32 deep and no deeper", "[io]") {
  CHECK(error_of_text(nested(32)).empty());
  CHECK(error_of_text(nested(33)) == "notes: JSON is nested more than 32 levels deep");
  CHECK(error_of_text(nested(1'000'000)) == "notes: JSON is nested more than 32 levels deep");
  CHECK(error_of_text(std::string(1'000'000, '[')) == "notes: JSON is nested more than 32 levels deep");
}

TEST_CASE("A short text of very many values is refused before it fills the memory", "[io]") {
  std::string text = "[0";
  for (int i = 2; i < JsonLimits::value_count; ++i) text += ",0";

  CHECK(error_of_text(text + "]").empty());
  CHECK(error_of_text(text + ",0]") == "notes: JSON has more than 1048576 values");
}

TEST_CASE("A list of very many objects is read in time proportional to its length", "[io]") {
  std::string text = "[{}";
  for (int i = 1; i < 100'000; ++i) text += ",{}";
  const std::clock_t begin = std::clock();

  const Json json = parse_json(text + "]", "notes");

  CHECK(json.size() == 100'000);
  CHECK(std::clock() - begin < 5 * CLOCKS_PER_SEC);  // minutes where every object looks at all before it
}

TEST_CASE("What is no JSON is an Error with the place", "[io]") {
  for (const char* text : {"", "{", "[1,]", "{\"a\"}", "nul", "1 2", "{} x", "\"\xff\"", "[1e999]", "{'a': 1}"}) {
    CAPTURE(text);
    CHECK(has(error_of_text(text), "notes: "));
  }
  CHECK(has(error_of_text("[1,]"), "column 4"));
}

TEST_CASE("Text that is not UTF-8 is not written", "[io]") {
  CHECK(has(error_of([] { (void)to_text(Json{"\xff"}, "notes"); }), "notes: invalid UTF-8"));
}

TEST_CASE("An object names what it lacks, what has the wrong kind, and what nobody knows", "[io]") {
  const Json json = parse_json(R"({"count": 3, "share": 0.5, "name": "x", "is_on": true, "list": [1]})", "notes");
  JsonObject object{json, "notes"};

  CHECK(object.integer("count", 0, 3) == 3);
  CHECK(object.number("share") == 0.5);
  CHECK(error_of([&] { (void)object.integer("count", 0, 2); }) == "notes: \"count\": is 3, it must lie in 0 .. 2");
  CHECK(error_of([&] { (void)object.integer("share", 0, 2); }) ==
        "notes: \"share\": should be a whole number, it is 0.5");
  CHECK(error_of([&] { (void)object.text("count"); }) == "notes: \"count\" should be a text, it is 3");
  CHECK(error_of([&] { (void)object.boolean("name"); }) == "notes: \"name\" should be true or false, it is \"x\"");
  CHECK(error_of([&] { (void)object.number("list"); }) == "notes: \"list\" should be a number, it is of type array");
  CHECK(error_of([&] { (void)object.list("name"); }) == "notes: \"name\" should be a list, it is \"x\"");
  CHECK(error_of([&] { object.check_no_other(); }) == "notes: unknown key \"is_on\" (known: count, list, name, share)");
  CHECK(error_of([&] { (void)object.text("nome"); }) == "notes: \"nome\" is missing");
  CHECK(error_of([&] {
          const JsonObject list{json["list"], "notes"};
        }) == "notes: should be a JSON object, it is of type array");
}

TEST_CASE("Whole numbers beyond 32 bits do not wrap", "[io]") {
  for (const char* text :
       {"4294967296", "18446744073709551615", "-9223372036854775808", "99999999999999999999", "-1", "1.0"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(whole_number(parse_json(text, "notes"), 0, 1 << 30, "count"), Error);
  }
}

TEST_CASE("JSON does not care for decimal commas", "[io]") {
  const DecimalComma comma;

  const Json json = parse_json("[1234567.25, 1e-3]", "notes");

  CHECK(json[0].get<double>() == 1234567.25);
  CHECK(to_text(json, "notes") == "[1234567.25,0.001]");
}
