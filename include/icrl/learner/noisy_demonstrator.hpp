// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include <icrl/core/rng.hpp>
#include <icrl/env/space.hpp>
#include <icrl/learner/learner.hpp>
#include <icrl/learner/noise_schedule.hpp>

namespace icrl {

/// How a demonstrator's actions are disturbed.
struct NoisyDemonstratorConfig {
  NoiseSchedule noise{};  ///< probability that a random action begins, by episode
  int hold_steps =
      1;  ///< steps for which a random action is repeated; with more than 1, noise can move a continuous task far
  /// Standard deviation of the noise added to every action of a Box, as a fraction of each number's range. Without it,
  /// exactly repeated actions would have an unbounded density, and a model would learn little else.
  double jitter = 0;
};

/// Throws Error for a value outside its range.
inline void validate(const NoisyDemonstratorConfig& config) {
  validate(config.noise);
  if (config.hold_steps < 1) fail("noisy demonstrator: hold_steps is {}, it must be at least 1", config.hold_steps);
  if (!(config.jitter >= 0 && config.jitter <= 1))
    fail("noisy demonstrator: jitter is {}, it must lie in [0, 1]", config.jitter);
}

/// Makes a learning history from a demonstrator that does not learn: replaces its actions by random ones, fewer from
/// episode to episode (AD^eps; Zisman et al., 2024). Offers the demonstrator's own action as the expert action.
template <Policy P>
class NoisyDemonstrator {
public:
  /// Throws Error for an invalid configuration or space.
  NoisyDemonstrator(P demonstrator, Space action_space, const NoisyDemonstratorConfig& config)
      : demonstrator_{std::move(demonstrator)}, action_space_{std::move(action_space)}, config_{config} {
    validate(config_);
    validate(action_space_, "action space of a noisy demonstrator");
    if (const auto* box = std::get_if<Box>(&action_space_); box != nullptr && config_.jitter > 0) {
      for (std::size_t i = 0; i < box->low.size(); ++i) {
        if (!std::isfinite(box->high[i] - box->low[i]))
          fail("noisy demonstrator: jitter is a share of an action's range, but the range of {} is not finite",
               to_short_string(action_space_));
      }
    }
    const auto size = static_cast<std::size_t>(value_count(action_space_));
    expert_action_.resize(size);
    held_action_.resize(size);
  }

  void act(std::span<const float> observation, std::span<float> action, Rng& rng) {
    demonstrator_.act(observation, expert_action_, rng);
    if (held_steps_ == 0 && rng.chance(config_.noise.at(episode_))) {
      sample(action_space_, rng, held_action_);
      held_steps_ = config_.hold_steps;
    }
    std::ranges::copy(held_steps_ > 0 ? held_action_ : expert_action_, action.begin());
    held_steps_ = std::max(0, held_steps_ - 1);
    if (const auto* box = std::get_if<Box>(&action_space_); box != nullptr && config_.jitter > 0)
      jitter(*box, action, rng);
  }

  void learn(const Transition& transition) {
    if constexpr (Learner<P>) demonstrator_.learn(transition);
    if (!transition.ends_episode()) return;
    ++episode_;
    held_steps_ = 0;
  }

  /// Throws Error if the environment has other actions than it was made for, or if the demonstrator refuses its spaces.
  void check_spaces(const Space& observation_space, const Space& action_space) const {
    detail::check_action_space(action_space_, action_space, "noisy demonstrator");
    if constexpr (ExpectsSpaces<P>) demonstrator_.check_spaces(observation_space, action_space);
  }

  /// The action of the demonstrator at the last observation.
  void expert_action(std::span<float> action) const { std::ranges::copy(expert_action_, action.begin()); }

private:
  void jitter(const Box& box, std::span<float> action, Rng& rng) const {
    for (std::size_t i = 0; i < action.size(); ++i) {
      const auto step = static_cast<float>(config_.jitter * rng.normal()) * (box.high[i] - box.low[i]);
      action[i] = std::clamp(action[i] + step, box.low[i], box.high[i]);
    }
  }

  P demonstrator_;
  Space action_space_;
  NoisyDemonstratorConfig config_;
  std::vector<float> expert_action_, held_action_;
  int held_steps_ = 0;  // remaining steps of the repeated action
  int episode_ = 0;
};

}  // namespace icrl
