// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/history/space_check.hpp>

#include <array>
#include <vector>

#include <icrl/core/rng.hpp>

#include "support/catch.hpp"
#include "support/special_numbers.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("A space check says the same as contains()", "[history]") {
  const auto spaces = std::vector<Space>{Discrete{3},
                                         MultiDiscrete{{2, 300}},
                                         Box{{-1, 0}, {1, 0}},
                                         Box{{-infinity}, {infinity}},
                                         Box{{2}, {infinity}},
                                         Discrete{65535},
                                         Box{{0}, {255}, {}, ElementType::u8},
                                         Box{{3, 0}, {65534, 2}, {}, ElementType::u16}};
  const std::vector<float> values{-infinity, -3e38f, -1,          -0.5f,      -0.0f,    0,           0.5f, 1,
                                  2,         1e-10f, 0.99999994f, 299.99997f, 65534,    65533.996f,  2.5f, 3,
                                  299,       300,    1e30f,       3e38f,      infinity, not_a_number};
  for (const Space& space : spaces) {
    const SpaceCheck check{space};
    for (const float first : values) {
      CHECK(check.contains(std::array{first}) == contains(space, std::array{first}));
      for (const float second : values)
        REQUIRE(check.contains(std::array{first, second}) == contains(space, std::array{first, second}));
    }
  }
}

TEST_CASE("A space check refuses elements of the wrong size", "[history]") {
  const SpaceCheck check{Discrete{3}};

  CHECK(check.contains(std::array{2.0f}));
  CHECK_FALSE(check.contains({}));
  CHECK_FALSE(check.contains(std::array{0.0f, 0.0f}));
}
