// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/core/fail.hpp>

#include <stdexcept>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;

TEST_CASE("fail throws an Error with the formatted text", "[core]") {
  CHECK(test::error_of([] { fail("file \"{}\": {} bytes, {} wanted", "a", 3, 4); }) == "file \"a\": 3 bytes, 4 wanted");
}

TEST_CASE("An Error can be caught as any runtime error", "[core]") { CHECK_THROWS_AS(fail("no"), std::runtime_error); }
