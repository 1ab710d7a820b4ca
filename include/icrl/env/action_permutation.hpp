// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include <icrl/core/assert.hpp>
#include <icrl/env/dark_room.hpp>

namespace icrl {

/// Which of the five moves of DarkRoom each of five actions makes. The 120 permutations are numbered in lexicographic
/// order of their moves: with number 0 every action makes the move of the same number, with number 119 the order is
/// reversed.
class ActionPermutation {
public:
  static constexpr int action_count = DarkRoom::action_count;  ///< moves, and actions
  static constexpr int count = 120;                            ///< 5!
  using Moves = std::array<int, action_count>;                 ///< the move of each action

  /// `number` lies in 0 .. count - 1.
  explicit ActionPermutation(int number = 0) {
    ICRL_ASSERT(number >= 0 && number < count, "action permutation: number must lie in 0 .. 119");
    Moves unused{};
    for (std::size_t i = 0; i < unused.size(); ++i) unused[i] = static_cast<int>(i);
    int rest = number, block = count;  // block: number of permutations that agree on the actions so far
    for (std::size_t action = 0; action < moves_.size(); ++action) {
      block /= action_count - static_cast<int>(action);
      const auto chosen = unused.begin() + rest / block;
      rest %= block;
      moves_[action] = *chosen;
      std::copy(chosen + 1, unused.end(), chosen);
    }
  }

  /// `moves[action]` is the action's move; each of 0 .. 4 occurs once.
  explicit ActionPermutation(const Moves& moves) : moves_{moves} {
    [[maybe_unused]] const ActionPermutation identity;
    ICRL_ASSERT(std::ranges::is_permutation(moves_, identity.moves_),
                "action permutation: moves must have each of 0 .. 4 once");
  }

  /// The move, a DarkRoom::Action, that an action in 0 .. 4 makes.
  [[nodiscard]] int move_of(int action) const { return moves_[static_cast<std::size_t>(action)]; }
  /// The action that makes a move; the inverse of `move_of`.
  [[nodiscard]] int action_of(int move) const {
    return static_cast<int>(std::ranges::find(moves_, move) - moves_.begin());
  }

  /// The permutation's number, 0 .. count - 1.
  [[nodiscard]] int number() const {
    int number = 0;
    for (auto move = moves_.begin(); move != moves_.end(); ++move) {
      const auto smaller = std::count_if(move + 1, moves_.end(), [&](int later) { return later < *move; });
      number = number * static_cast<int>(moves_.end() - move) + static_cast<int>(smaller);
    }
    return number;
  }

  friend bool operator==(const ActionPermutation&, const ActionPermutation&) = default;

private:
  Moves moves_{};
};

}  // namespace icrl
