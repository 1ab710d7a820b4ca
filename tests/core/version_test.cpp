// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/core/version.hpp>

#include <string>

#include "support/catch.hpp"

TEST_CASE("The version's text and number agree", "[core]") {
  const std::string text = std::to_string(ICRL_VERSION / 10000) + "." + std::to_string(ICRL_VERSION / 100 % 100) + "." +
                           std::to_string(ICRL_VERSION % 100);

  CHECK(icrl::version_string == text);
}
