// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/exact_actions.hpp>

#include <array>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("Exact actions are drawn as others are", "[compress]") {
  const MultiDiscrete space{{3, 4}};
  const ExactActions exact{space};
  const ActionDistribution plain{space};
  Rng rng{1};
  for (int round = 0; round < 3000; ++round) {
    std::array<float, 7> outputs;
    for (float& output : outputs) output = static_cast<float>(3 * rng.normal());
    const Decoding decoding{.temperature = round % 5 == 0 ? 0 : 0.5 + rng.uniform(), .min_p = round % 2 == 0 ? 0 : 0.2};
    Rng one = rng.fork(static_cast<std::uint64_t>(round)), other = one;
    std::array<float, 2> found, expected;

    exact.sample<float>(outputs, decoding, {}, one, found);
    plain.sample<float>(outputs, decoding, {}, other, expected);

    CHECK(found == expected);
    CHECK(one.state() == other.state());
  }
}

TEST_CASE("Exact actions obey masks, and take the likeliest one for sure where others are out of reach", "[compress]") {
  const ExactActions exact{Discrete{3}};
  Rng rng{2};
  const std::array<float, 3> outputs{0.0f, 2000.0f, 5.0f};
  const std::array<std::uint8_t, 3> mask{1, 0, 1};
  std::array<float, 1> action;
  for (int i = 0; i < 200; ++i) {
    exact.sample<float>(outputs, {}, {}, rng, action);
    CHECK(action[0] == 1);
    exact.sample<float>(outputs, {}, mask, rng, action);
    CHECK(action[0] != 1);
  }
}
