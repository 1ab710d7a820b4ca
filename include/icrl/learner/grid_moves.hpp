// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdlib>
#include <span>

#include <icrl/core/rng.hpp>
#include <icrl/env/dark_room.hpp>

namespace icrl {

/// How actions move an agent in a grid world. It says nothing about goals.
template <typename M>
concept MoveModel = requires(const M& moves, std::span<const float> observation, int cell, int action) {
  { moves.cell_count() } -> std::convertible_to<int>;
  { moves.action_count() } -> std::convertible_to<int>;
  { moves.cell_of(observation) } -> std::convertible_to<int>;
  { moves.moved(cell, action) } -> std::convertible_to<int>;
  { moves.distance(cell, cell) } -> std::convertible_to<int>;
};

/// Optional: names the spaces that it was made for, so that a learner can refuse an environment with other spaces.
template <typename M>
concept MoveModelWithSpaces = MoveModel<M> && HasSpaces<M>;

/// The moves of a square room without inner walls, as DarkRoom has them. Cells are row * side + column.
struct GridMoves {
  int side;  ///< cells along each wall

  /// Throws Error for a side that is invalid for a Dark Room.
  explicit GridMoves(int room_side) : side{room_side} { validate(DarkRoomOptions{.side = side}); }

  /// The positions of such a room, row and column.
  [[nodiscard]] Space observation_space() const { return MultiDiscrete{{side, side}}; }
  /// The moves of DarkRoom.
  [[nodiscard]] Space action_space() const { return Discrete{action_count()}; }
  /// Number of cells, which are 0 .. cell_count() - 1.
  [[nodiscard]] int cell_count() const { return side * side; }
  /// Number of actions, which are those of DarkRoom::Action.
  [[nodiscard]] int action_count() const { return DarkRoom::action_count; }
  /// The cell of an observation, its row and column.
  [[nodiscard]] int cell_of(std::span<const float> observation) const {
    return static_cast<int>(observation[0]) * side + static_cast<int>(observation[1]);
  }
  /// The cell that an action leads to; a wall stops a move.
  [[nodiscard]] int moved(int cell, int action) const {
    const Cell to = DarkRoom::moved({cell / side, cell % side}, action, side);
    return to.row * side + to.column;
  }
  /// Minimum number of moves between two cells.
  [[nodiscard]] int distance(int from, int to) const {
    return std::abs(from / side - to / side) + std::abs(from % side - to % side);
  }
};
static_assert(MoveModelWithSpaces<GridMoves>);

/// An action that begins a shortest path from one cell to another: a random one of them, or the first.
template <MoveModel M>
[[nodiscard]] int action_towards(const M& moves, int from, int to, Rng& rng, bool random_ties = true) {
  int shortest = moves.cell_count(), ties = 0, chosen = 0;
  for (int action = 0; action < moves.action_count(); ++action) {
    const int left = moves.distance(moves.moved(from, action), to);
    if (left > shortest) continue;
    ties = left < shortest ? 1 : ties + 1;
    shortest = left;
    if (ties == 1 || (random_ties && rng.below(ties) == 0)) chosen = action;
  }
  return chosen;
}

}  // namespace icrl
