// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/plane_point.hpp>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("The distance of two places is along a straight line", "[env]") {
  CHECK(distance({1, 2}, {4, -2}) == 5);
  CHECK(distance({4, -2}, {1, 2}) == 5);
  CHECK(distance({0.5, 0.5}, {0.5, 0.5}) == 0);
}
