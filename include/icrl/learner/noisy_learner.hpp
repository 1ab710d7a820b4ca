// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/space.hpp>
#include <icrl/learner/learner.hpp>
#include <icrl/learner/random_learner.hpp>

namespace icrl {

/// How often a learner's actions are replaced.
struct NoisyLearnerConfig {
  double min_noise = 0, max_noise = 0.3;  ///< probability of a random action, drawn from this range once per history
};

/// Throws Error for a value outside its range.
inline void validate(const NoisyLearnerConfig& config) {
  if (!(0 <= config.min_noise && config.min_noise <= config.max_noise && config.max_noise <= 1)) {
    fail("noisy learner: min_noise is {}, max_noise is {}; they must satisfy 0 <= min_noise <= max_noise <= 1",
         config.min_noise, config.max_noise);
  }
}

/// Wraps a learner and replaces some of its actions by random ones. The probability is drawn once per history. The
/// learner learns from the action that was taken; the action it intended is recorded as the expert action, so a model
/// trained on these labels (WindowConfig::use_expert_action) sees how to recover.
///
///   const auto make_learner = [](int, const DarkRoom& room, Rng& rng) {
///     return NoisyLearner{SystematicExplorer{GridMoves{9}, {.noise = 0}}, room.action_space(), {}, rng};
///   };
template <Learner L>
class NoisyLearner {
public:
  /// Draws the noise probability of the history from `rng`. Throws Error for an invalid configuration or space.
  NoisyLearner(L learner, Space action_space, const NoisyLearnerConfig& config, Rng& rng)
      : learner_{std::move(learner)}, action_space_{std::move(action_space)} {
    validate(config);
    validate(action_space_, "action space of a noisy learner");
    noise_ = config.min_noise + (config.max_noise - config.min_noise) * rng.uniform();
    intended_action_.resize(static_cast<std::size_t>(value_count(action_space_)));
  }

  void act(std::span<const float> observation, std::span<float> action, Rng& rng) {
    learner_.act(observation, intended_action_, rng);
    if (is_noise(rng)) return sample(action_space_, rng, action);
    std::ranges::copy(intended_action_, action.begin());
  }

  /// Random actions are chosen among the allowed ones; an empty mask allows all. A learner without mask support is
  /// called without the mask.
  void act(std::span<const float> observation, std::span<const std::uint8_t> allowed, std::span<float> action,
           Rng& rng) {
    if (allowed.empty()) return act(observation, action, rng);
    if constexpr (MaskedPolicy<L>) {
      learner_.act(observation, allowed, intended_action_, rng);
    } else {
      learner_.act(observation, intended_action_, rng);
    }
    if (is_noise(rng)) {
      action[0] = static_cast<float>(random_allowed(allowed, rng));
    } else {
      std::ranges::copy(intended_action_, action.begin());
    }
  }

  void learn(const Transition& transition) { learner_.learn(transition); }

  /// The intended action at the last observation.
  void expert_action(std::span<float> action) const { std::ranges::copy(intended_action_, action.begin()); }

  /// Throws Error if the environment has other actions than it was made for, or if the learner refuses its spaces.
  void check_spaces(const Space& observation_space, const Space& action_space) const {
    detail::check_action_space(action_space_, action_space, "noisy learner");
    if constexpr (ExpectsSpaces<L>) learner_.check_spaces(observation_space, action_space);
  }

  /// Probability of a random action in this history.
  [[nodiscard]] double noise() const { return noise_; }
  [[nodiscard]] const L& learner() const { return learner_; }

private:
  /// With probability 0 it draws no random number, so the learner acts as it would alone.
  [[nodiscard]] bool is_noise(Rng& rng) const { return noise_ > 0 && rng.chance(noise_); }

  L learner_;
  Space action_space_;
  double noise_ = 0;
  std::vector<float> intended_action_;
};

}  // namespace icrl
