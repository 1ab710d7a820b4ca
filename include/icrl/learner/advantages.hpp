// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

#include <icrl/core/assert.hpp>

namespace icrl {

/// One step of a rollout with the values from a critic.
struct ValuedStep {
  double reward = 0;                           ///< after the action
  double value = 0;                            ///< value of its observation
  double next_value = 0;                       ///< value of the next observation; not used after a termination
  bool terminated = false, truncated = false;  ///< how the step ended its episode, if it did
};

/// Generalized advantage estimates (Schulman et al., 2016, equation 16) of consecutive steps of one actor. The steps
/// may belong to several episodes:
///   delta_t     = reward_t + discount next_value_t - value_t, without next_value after a termination
///   advantage_t = delta_t + discount lambda advantage_(t+1), without the latter where an episode or the rollout ends
/// lambda 1 gives n-step returns minus the value (Mnih et al., 2016); lambda 0 gives the one-step error.
inline void generalized_advantages(std::span<const ValuedStep> steps, double discount, double lambda,
                                   std::span<double> advantages) {
  ICRL_ASSERT(advantages.size() == steps.size(), "generalized_advantages: advantages must have one number per step");
  double next_advantage = 0;
  for (std::size_t t = steps.size(); t-- > 0;) {
    const ValuedStep& step = steps[t];
    if (step.terminated || step.truncated) next_advantage = 0;
    const double next_value = step.terminated ? 0 : step.next_value;
    const double delta = step.reward + discount * next_value - step.value;
    next_advantage = delta + discount * lambda * next_advantage;
    advantages[t] = next_advantage;
  }
}

}  // namespace icrl
