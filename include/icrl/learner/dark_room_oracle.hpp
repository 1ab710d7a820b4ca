// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <span>

#include <icrl/core/rng.hpp>
#include <icrl/env/dark_room.hpp>
#include <icrl/learner/grid_moves.hpp>
#include <icrl/learner/learner.hpp>

namespace icrl {

/// Knows the goal of a Dark Room: takes a shortest path there and stays. It is the upper reference for learning curves.
class DarkRoomOracle {
public:
  /// `goal` is a cell of a room of `side` x `side` cells.
  DarkRoomOracle(int side, Cell goal) : moves_{side}, goal_{goal.row * side + goal.column} {}

  void act(std::span<const float> observation, std::span<float> action, Rng& rng) {
    action[0] = static_cast<float>(action_towards(moves_, moves_.cell_of(observation), goal_, rng));
  }
  void learn(const Transition&) {}

  /// Throws Error unless these are the spaces of a room with this side.
  void check_spaces(const Space& observation_space, const Space& action_space) const {
    detail::check_spaces_of(moves_, observation_space, action_space, "dark room oracle");
  }

private:
  GridMoves moves_;
  int goal_;
};
static_assert(Learner<DarkRoomOracle> && ExpectsSpaces<DarkRoomOracle>);

}  // namespace icrl
