// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <limits>
#include <numbers>
#include <span>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/space.hpp>
#include <icrl/learner/arm_statistics.hpp>
#include <icrl/learner/learner.hpp>

namespace icrl {

/// How much UCB explores, and how many pulls count.
struct UcbConfig {
  /// Factor of the bonus sqrt(ln t / n) of an arm with n of t pulls. The square root of 2 is UCB1, for rewards in
  /// [0, 1]; multiply it by the range of other rewards.
  double exploration = std::numbers::sqrt2;
  int window = 0;  ///< pulls that count, the last ones: sliding-window UCB for bandits that change; 0 = all
};

/// Upper confidence bounds: pulls the arm with the largest mean reward plus bonus (UCB1; Auer, Cesa-Bianchi & Fischer,
/// 2002), over a sliding window if the configuration says so (Garivier & Moulines, 2011). Arms without a pull that
/// counts come first. Of equal arms it takes the first, and so draws no random numbers.
class Ucb {
public:
  /// Throws Error for a number outside its range.
  explicit Ucb(int arms, const UcbConfig& config = {}) : arms_{arms, config.window, "ucb"}, config_{config} {
    if (!(config.exploration >= 0 && std::isfinite(config.exploration)))
      fail("ucb: exploration is {}, it must be 0 or more", config.exploration);
  }

  void act(std::span<const float>, std::span<float> action, Rng&) {
    const double log_total = std::log(static_cast<double>(arms_.total()));
    action[0] = static_cast<float>(detail::best_arm(arms_.arm_count(), [&](int arm) {
      const double count = arms_.count(arm);
      if (count == 0) return std::numeric_limits<double>::infinity();
      return arms_.sum(arm) / count + config_.exploration * std::sqrt(log_total / count);
    }));
  }
  void learn(const Transition& transition) {
    arms_.add(static_cast<int>(transition.action[0]), static_cast<double>(transition.reward));
  }

  /// Throws Error unless actions are its arms.
  void check_spaces(const Space&, const Space& action_space) const {
    detail::check_action_space(Discrete{arms_.arm_count()}, action_space, "ucb");
  }

private:
  ArmStatistics arms_;
  UcbConfig config_;
};
static_assert(Learner<Ucb> && ExpectsSpaces<Ucb>);

}  // namespace icrl
