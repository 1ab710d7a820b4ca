// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/core/os_process.hpp>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("A process has one number", "[core]") {
  CHECK(os::process_id() > 0);
  CHECK(os::process_id() == os::process_id());
}
