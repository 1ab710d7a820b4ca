// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include <icrl/core/rng.hpp>
#include <icrl/env/space.hpp>
#include <icrl/learner/learner.hpp>

namespace icrl {

/// Knows the target of a Dark Plane: goes there as fast as each axis allows and stays. No path reaches the disc around
/// the target in fewer steps, because after each step the position is as close to the target as possible on both axes.
class DarkPlaneOracle {
public:
  /// `max_move`: maximum move per step along each axis.
  DarkPlaneOracle(std::array<float, 2> target, float max_move) : target_{target}, max_move_{max_move} {}

  void act(std::span<const float> observation, std::span<float> action, Rng&) {
    for (std::size_t i = 0; i < 2; ++i) action[i] = std::clamp(target_[i] - observation[i], -max_move_, max_move_);
  }
  void learn(const Transition&) {}

  /// Throws Error unless these are the spaces of a Dark Plane with this maximum move.
  void check_spaces(const Space& observation_space, const Space& action_space) const {
    detail::check_observation_space(Box{{-1, -1}, {1, 1}}, observation_space, "dark plane oracle");
    const Box moves{{-max_move_, -max_move_}, {max_move_, max_move_}};
    detail::check_action_space(moves, action_space, "dark plane oracle");
  }

private:
  std::array<float, 2> target_;
  float max_move_;
};
static_assert(Learner<DarkPlaneOracle> && ExpectsSpaces<DarkPlaneOracle>);

}  // namespace icrl
