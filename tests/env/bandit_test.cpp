// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/bandit.hpp>

#include <array>
#include <span>

#include <icrl/env/bernoulli_bandit.hpp>
#include <icrl/env/dark_room.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// Its actions are numbers.
struct ThrottleBandit {
  [[nodiscard]] Space observation_space() const { return Discrete{1}; }
  [[nodiscard]] Space action_space() const { return Box{{0}, {1}}; }
  void reset(Rng&) {}
  void observe(std::span<float> out) const { out[0] = 0; }
  StepResult step(std::span<const float>, Rng&) { return {.reward = 0, .terminated = true}; }
  [[nodiscard]] double expected_reward(std::span<const float>, int) const { return 0; }
};

}  // namespace

TEST_CASE("The best expected reward is that of the best arm", "[env]") {
  const BernoulliBandit bandit{{0.2, 0.7, 0.4}};
  const std::array<float, 1> observation{0};

  CHECK(arm_count(bandit) == 3);
  CHECK(best_expected_reward(bandit, observation) == 0.7);
  CHECK_FALSE(HasExpectedReward<DarkRoom>);
}

TEST_CASE("Arms are ids", "[env]") {
  CHECK(error_of([] { (void)arm_count(ThrottleBandit{}); }) ==
        "bandit: arms must be a discrete space, not box([0], [1])");
}
