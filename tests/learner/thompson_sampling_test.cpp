// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/thompson_sampling.hpp>

#include <array>
#include <cmath>
#include <vector>

#include <icrl/env/bernoulli_bandit.hpp>
#include <icrl/env/gaussian_bandit.hpp>
#include <icrl/env/switching_bandit.hpp>
#include <icrl/learner/random_learner.hpp>

#include "support/bandit_regret.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

struct ArmReward {
  float arm, reward;
};

/// How often a learner pulls arm 1 after these pulls.
template <typename L>
double share_of_arm_1(L learner, const std::vector<ArmReward>& pulls) {
  std::array<float, 1> observation{}, action{};
  for (const ArmReward& pull : pulls) {
    action[0] = pull.arm;
    learner.learn({observation, action, pull.reward});
  }
  Rng rng{3};
  double share = 0;
  for (int i = 0; i < 20'000; ++i) {
    learner.act(observation, action, rng);
    share += static_cast<double>(action[0]) / 20'000;
  }
  return share;
}

}  // namespace

TEST_CASE("Thompson sampling pulls an arm as often as it is the best one", "[learner]") {
  CHECK(share_of_arm_1(BernoulliThompson{2}, {}) == Approx(0.5).margin(0.015));
  // Beta(1, 1) against Beta(2, 1): the second is larger with probability 2/3; with a failure, 1/3.
  CHECK(share_of_arm_1(BernoulliThompson{2}, {{1, 1}}) == Approx(2.0 / 3).margin(0.015));
  CHECK(share_of_arm_1(BernoulliThompson{2}, {{1, 0}}) == Approx(1.0 / 3).margin(0.015));
  // Both failed, but with a window of 1 the first failure is forgotten.
  CHECK(share_of_arm_1(BernoulliThompson{2, {.window = 1}}, {{0, 0}, {1, 0}}) == Approx(1.0 / 3).margin(0.015));
}

TEST_CASE("Gaussian Thompson sampling pulls an arm as often as it is the best one", "[learner]") {
  // Posterior of arm 1: precision 1 + 4, mean 4 * 0.6 / 5 = 0.48. Its difference to the prior of arm 0 has
  // variance 1.2.
  const double expected = 0.5 * std::erfc(-0.48 / std::sqrt(2 * 1.2));

  CHECK(share_of_arm_1(GaussianThompson{2, {.reward_stddev = 0.5}}, {{1, 0.6f}}) == Approx(expected).margin(0.015));
  CHECK(share_of_arm_1(GaussianThompson{2, {.prior_mean = 3}}, {}) == Approx(0.5).margin(0.015));
}

TEST_CASE("Thompson sampling solves Bernoulli bandits", "[learner]") {
  const BernoulliBandits bandits{{.arms = 10}};
  const auto regret = [&](int pulls) {
    return mean_regret(bandits, 200, pulls, [](const auto& bandit) { return BernoulliThompson{arm_count(bandit)}; });
  };

  CHECK(regret(200) < 20);
  CHECK(regret(200) > 10);
  CHECK(regret(1000) < 35);
}

TEST_CASE("Gaussian Thompson sampling solves Gaussian bandits", "[learner]") {
  const GaussianBandits bandits{{.arms = 5, .reward_stddev = 0.5}};
  const double regret = mean_regret(bandits, 200, 300, [](const auto& bandit) {
    return GaussianThompson{arm_count(bandit), {.reward_stddev = bandit.reward_stddev()}};
  });
  const double random =
      mean_regret(bandits, 200, 300, [](const auto& bandit) { return RandomPolicy{bandit.action_space()}; });

  CHECK(regret < 0.05 * random);
}

TEST_CASE("With a window, Thompson sampling follows a bandit that changes", "[learner]") {
  const SwitchingBandits bandits{{.arms = 2, .change_probability = 0, .change_after = 200}};
  const auto regret = [&](int window) {
    return mean_regret(bandits, 100, 400, [&](const auto& bandit) {
      return BernoulliThompson{arm_count(bandit), {.window = window}};
    });
  };

  CHECK(regret(20) < 50);
  CHECK(regret(0) > 80);
}

TEST_CASE("Thompson sampling refuses rewards and settings that it cannot use", "[learner]") {
  const std::array<float, 1> zero{};
  CHECK(error_of([&] {
          BernoulliThompson{2}.learn({zero, zero, 0.5f});
        }) == "thompson sampling: the reward is 0.5, it must be 0 or 1 (use GaussianThompson for other rewards)");
  CHECK(error_of([] { BernoulliThompson(2, {.prior_failures = 0}); }) ==
        "thompson sampling: prior_successes is 1 and prior_failures is 0, they must lie in (0, 1e9]");
  CHECK(error_of([] { GaussianThompson(2, {.reward_stddev = 0}); }) ==
        "gaussian thompson sampling: prior_stddev is 1 and reward_stddev is 0, they must lie in [1e-6, 1e6]");
  CHECK(has(error_of([] { BernoulliThompson{2}.check_spaces(Discrete{1}, Discrete{3}); }),
            "thompson sampling: its action space"));
}
