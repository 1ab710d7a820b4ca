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

TEST_CASE("joined puts a separator between values and nowhere else", "[core]") {
  CHECK(joined(std::vector<float>{1, -0.5f, 1e30f}, ", ") == "1, -0.5, 1e+30");
  CHECK(joined(std::vector<std::string>{"", "a", ""}, "/") == "/a/");
  CHECK(joined(std::vector<int>{}, ", ").empty());
}
