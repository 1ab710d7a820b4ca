// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <span>

#include <icrl/core/distributions.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/space.hpp>
#include <icrl/learner/arm_statistics.hpp>
#include <icrl/learner/learner.hpp>

// Thompson sampling (Thompson, 1933; Russo et al., 2018): pulls each arm as often as it is the best one by what is
// known. It draws a mean for every arm from its posterior and pulls the arm with the largest.
namespace icrl {

/// The prior of Bernoulli rewards, and how many pulls count.
struct BernoulliThompsonConfig {
  double prior_successes = 1, prior_failures = 1;  ///< of the beta prior of a mean; 1 and 1: uniform in [0, 1]
  int window = 0;                                  ///< pulls that count, the last ones; 0 = all
};

/// Thompson sampling for rewards of 0 and 1, with a beta posterior.
class BernoulliThompson {
public:
  /// Throws Error for a number outside its range.
  explicit BernoulliThompson(int arms, const BernoulliThompsonConfig& config = {})
      : arms_{arms, config.window, "thompson sampling"}, config_{config} {
    const auto is_valid = [](double count) { return count > 0 && count <= 1e9; };
    if (!is_valid(config.prior_successes) || !is_valid(config.prior_failures)) {
      fail("thompson sampling: prior_successes is {} and prior_failures is {}, they must lie in (0, 1e9]",
           config.prior_successes, config.prior_failures);
    }
  }

  void act(std::span<const float>, std::span<float> action, Rng& rng) {
    action[0] = static_cast<float>(detail::best_arm(arms_.arm_count(), [&](int arm) {
      const double successes = arms_.sum(arm), failures = arms_.count(arm) - successes;
      return beta_number(config_.prior_successes + successes, config_.prior_failures + failures, rng);
    }));
  }

  /// Throws Error for a reward that is neither 0 nor 1.
  void learn(const Transition& transition) {
    const float reward = transition.reward;
    if (reward != 0 && reward != 1)
      fail("thompson sampling: the reward is {}, it must be 0 or 1 (use GaussianThompson for other rewards)", reward);
    arms_.add(static_cast<int>(transition.action[0]), static_cast<double>(reward));
  }

  /// Throws Error unless actions are its arms.
  void check_spaces(const Space&, const Space& action_space) const {
    detail::check_action_space(Discrete{arms_.arm_count()}, action_space, "thompson sampling");
  }

private:
  ArmStatistics arms_;
  BernoulliThompsonConfig config_;
};
static_assert(Learner<BernoulliThompson> && ExpectsSpaces<BernoulliThompson>);

/// The prior of normal rewards, and how many pulls count.
struct GaussianThompsonConfig {
  double prior_mean = 0, prior_stddev = 1;  ///< of the normal prior of a mean
  double reward_stddev = 1;                 ///< standard deviation of a reward around its mean, known
  int window = 0;                           ///< pulls that count, the last ones; 0 = all
};

/// Thompson sampling for rewards with normal noise, with a normal posterior.
class GaussianThompson {
public:
  /// Throws Error for a number outside its range.
  explicit GaussianThompson(int arms, const GaussianThompsonConfig& config = {})
      : arms_{arms, config.window, "gaussian thompson sampling"}, config_{config} {
    const auto is_valid = [](double deviation) { return deviation >= 1e-6 && deviation <= 1e6; };
    if (!is_valid(config.prior_stddev) || !is_valid(config.reward_stddev)) {
      fail("gaussian thompson sampling: prior_stddev is {} and reward_stddev is {}, they must lie in [1e-6, 1e6]",
           config.prior_stddev, config.reward_stddev);
    }
    if (!std::isfinite(config.prior_mean))
      fail("gaussian thompson sampling: prior_mean is {}, it must be finite", config.prior_mean);
  }

  void act(std::span<const float>, std::span<float> action, Rng& rng) {
    const double prior_precision = 1 / (config_.prior_stddev * config_.prior_stddev);
    const double reward_precision = 1 / (config_.reward_stddev * config_.reward_stddev);
    action[0] = static_cast<float>(detail::best_arm(arms_.arm_count(), [&](int arm) {
      const double precision = prior_precision + reward_precision * arms_.count(arm);
      const double mean = (prior_precision * config_.prior_mean + reward_precision * arms_.sum(arm)) / precision;
      return mean + rng.normal() / std::sqrt(precision);
    }));
  }
  void learn(const Transition& transition) {
    arms_.add(static_cast<int>(transition.action[0]), static_cast<double>(transition.reward));
  }

  /// Throws Error unless actions are its arms.
  void check_spaces(const Space&, const Space& action_space) const {
    detail::check_action_space(Discrete{arms_.arm_count()}, action_space, "gaussian thompson sampling");
  }

private:
  ArmStatistics arms_;
  GaussianThompsonConfig config_;
};
static_assert(Learner<GaussianThompson> && ExpectsSpaces<GaussianThompson>);

}  // namespace icrl
