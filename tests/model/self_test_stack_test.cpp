// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/self_test_stack.hpp>

#include "support/catch.hpp"

using namespace icrl;

// That it throws in a program for Windows without the option is tried by scripts/windows.sh.
TEST_CASE("A program whose stack is aligned, or whose moves need no alignment, passes", "[model]") {
  CHECK_NOTHROW(detail::check_vector_moves());
}
