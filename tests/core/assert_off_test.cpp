// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// As a release build sees assertions. Only assert.hpp of the library is included.
#undef ICRL_ENABLE_ASSERTS
#undef NDEBUG
#define NDEBUG
#include <icrl/core/assert.hpp>

#include "support/catch.hpp"

TEST_CASE("An assertion that is off does not evaluate its condition, and leaves nothing unused", "[core]") {
  int evaluations = 0;

  ICRL_ASSERT(++evaluations > 1, "off");

  CHECK(evaluations == 0);
}
