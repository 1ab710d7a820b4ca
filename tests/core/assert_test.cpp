// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// Only assert.hpp of the library is included: other headers would compile their assertions with this handler.
#include <stdexcept>
#include <string>

#undef ICRL_ENABLE_ASSERTS
#define ICRL_ENABLE_ASSERTS
#define ICRL_ASSERT_HANDLER(message, file, line) \
  throw std::logic_error { std::string{message} + " in " + file + (line > 0 ? "" : "?") }
#include <icrl/core/assert.hpp>

#include "support/catch.hpp"

TEST_CASE("An assertion that fails calls the handler with its message and place", "[core]") {
  std::string text;
  try {
    ICRL_ASSERT(1 > 2, "one is not more than two");
  } catch (const std::logic_error& error) {
    text = error.what();
  }

  CHECK(text.find("one is not more than two") == 0);
  CHECK(text.find("assert_test.cpp") != std::string::npos);
}

TEST_CASE("An assertion that holds does nothing", "[core]") { CHECK_NOTHROW(ICRL_ASSERT(2 > 1, "never said")); }
