// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <icrl/core/rng.hpp>
#include <icrl/env/space.hpp>
#include <icrl/learner/learner.hpp>

namespace icrl {

/// A learner whose histories also hold, as the expert action, what another policy would have done at each observation.
/// With a policy that knows the task these are the labels of decision-pretrained transformers (DPT; Lee et al., 2023):
/// they show the best action for the task, not how a learner explores.
///
///   const auto make_learner = [](int, const DarkRoom& room, Rng&) {
///     return LabeledBy{RandomPolicy{room.action_space()}, DarkRoomOracle{room.options().side, room.goal()},
///                      room.action_space()};
///   };
template <Learner L, Policy P>
class LabeledBy {
public:
  /// `learner` acts, `expert` labels; both for this action space.
  LabeledBy(L learner, P expert, const Space& action_space)
      : learner_{std::move(learner)},
        expert_{std::move(expert)},
        expert_action_(static_cast<std::size_t>(value_count(action_space))) {}

  /// The expert draws from a stream of its own, so that the learner acts as it would alone.
  void act(std::span<const float> observation, std::span<float> action, Rng& rng) {
    ask_expert(observation, {}, rng);
    learner_.act(observation, action, rng);
  }
  /// A policy without mask support is called without the mask.
  void act(std::span<const float> observation, std::span<const std::uint8_t> allowed, std::span<float> action,
           Rng& rng) {
    ask_expert(observation, allowed, rng);
    act_masked(learner_, observation, allowed, action, rng);
  }

  /// Both receive the transition: an expert may have to know what has happened in the episode.
  void learn(const Transition& transition) {
    learner_.learn(transition);
    if constexpr (Learner<P>) expert_.learn(transition);
  }

  /// What the expert would have done at the last observation.
  void expert_action(std::span<float> action) const { std::ranges::copy(expert_action_, action.begin()); }

  void check_spaces(const Space& observation_space, const Space& action_space) const {
    if constexpr (ExpectsSpaces<L>) learner_.check_spaces(observation_space, action_space);
    if constexpr (ExpectsSpaces<P>) expert_.check_spaces(observation_space, action_space);
  }

  [[nodiscard]] const L& learner() const { return learner_; }

private:
  template <typename Policy>
  static void act_masked(Policy& policy, std::span<const float> observation, std::span<const std::uint8_t> allowed,
                         std::span<float> action, Rng& rng) {
    if constexpr (MaskedPolicy<Policy>) {
      if (!allowed.empty()) return policy.act(observation, allowed, action, rng);
    }
    policy.act(observation, action, rng);
  }

  void ask_expert(std::span<const float> observation, std::span<const std::uint8_t> allowed, const Rng& rng) {
    Rng expert_rng = rng.fork(0x6c6162656c).fork(step_++);
    act_masked(expert_, observation, allowed, expert_action_, expert_rng);
  }

  L learner_;
  P expert_;
  std::vector<float> expert_action_;
  std::uint64_t step_ = 0;  // steps of this history: each has random numbers of its own
};

}  // namespace icrl
