// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/ucb.hpp>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include <icrl/env/bernoulli_bandit.hpp>
#include <icrl/env/switching_bandit.hpp>
#include <icrl/learner/random_learner.hpp>

#include "support/bandit_regret.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// What UCB pulls when the arms pay these rewards, in this order, whatever the pull.
std::vector<int> ucb_pulls(Ucb ucb, const std::vector<std::vector<float>>& reward_of_arm) {
  std::vector<int> pulls;
  std::array<float, 1> observation{}, action{};
  Rng rng{0};
  for (const std::vector<float>& rewards : reward_of_arm) {
    ucb.act(observation, action, rng);
    pulls.push_back(static_cast<int>(action[0]));
    ucb.learn({observation, action, rewards[static_cast<std::size_t>(pulls.back())]});
  }
  return pulls;
}

}  // namespace

TEST_CASE("UCB1 tries every arm once, then adds the bonus to the means", "[learner]") {
  // After one pull of each, arm 1 leads by 1. After n more pulls of it, its index is 1 + sqrt(2 ln(n + 3) / (n + 1))
  // and that of the others sqrt(2 ln(n + 3)): with n = 3, 1.9466 and 1.8930; with n = 4, 1.8822 and 1.9728.
  const std::vector<std::vector<float>> rewards(9, {0, 1, 0});

  CHECK(ucb_pulls(Ucb{3}, rewards) == std::vector<int>{0, 1, 2, 1, 1, 1, 1, 0, 2});
}

TEST_CASE("UCB without a bonus stays with the best mean, and takes the first of equal arms", "[learner]") {
  const std::vector<std::vector<float>> rewards(6, {0, 1, 1});

  CHECK(ucb_pulls(Ucb{3, {.exploration = 0}}, rewards) == std::vector<int>{0, 1, 2, 1, 1, 1});
}

TEST_CASE("Sliding-window UCB tries an arm again that has left its window", "[learner]") {
  const std::vector<std::vector<float>> rewards(6, {0, 1});

  CHECK(ucb_pulls(Ucb{2, {.exploration = 0, .window = 3}}, rewards) == std::vector<int>{0, 1, 1, 1, 0, 1});
}

TEST_CASE("UCB1 solves Bernoulli bandits", "[learner]") {
  const BernoulliBandits bandits{{.arms = 5}};
  const auto regret = [&](int pulls) {
    return mean_regret(bandits, 200, pulls, [](const auto& bandit) { return Ucb{arm_count(bandit)}; });
  };
  const double random =
      mean_regret(bandits, 200, 1000, [](const auto& bandit) { return RandomPolicy{bandit.action_space()}; });

  CHECK(regret(1000) < 0.25 * random);
  CHECK(regret(1000) < 3 * regret(200));  // five times the pulls, and regret grows with their logarithm
}

TEST_CASE("Sliding-window UCB follows a bandit that changes, and UCB1 does not", "[learner]") {
  const SwitchingBandits bandits{{.arms = 2, .change_probability = 0, .change_after = 200}};
  const auto regret = [&](const UcbConfig& config) {
    return mean_regret(bandits, 100, 400, [&](const auto& bandit) { return Ucb{arm_count(bandit), config}; });
  };

  CHECK(regret({.exploration = 0.2, .window = 20}) < 40);
  CHECK(regret({.exploration = 0.2}) > 60);
}

TEST_CASE("UCB refuses other arms and a bonus that is no number", "[learner]") {
  CHECK(error_of([] { Ucb(3, {.exploration = std::numeric_limits<double>::quiet_NaN()}); }) ==
        "ucb: exploration is nan, it must be 0 or more");
  CHECK(has(error_of([] { Ucb{3}.check_spaces(Discrete{1}, Discrete{4}); }), "ucb: its action space"));
}
