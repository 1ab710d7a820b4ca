// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/env/action_permutation.hpp>
#include <icrl/env/dark_room.hpp>

namespace icrl {

/// Finds out which move of a grid each of five actions makes, from steps whose outcome is seen. It keeps the
/// permutations that agree with all steps so far, so it is never wrong, and needs no try for the last action. Not a
/// learner itself: a learner asks it what to try until it is done.
class ActionFinder {
public:
  /// For a room of `side` x `side` cells, side >= 2: in a single cell all actions look the same.
  explicit ActionFinder(int side) : side_{side} {
    ICRL_ASSERT(side >= 2, "moves can be told apart in rooms of two or more cells along each wall");
    for (int number = 0; number < ActionPermutation::count; ++number) possible_.emplace_back(number);
  }

  [[nodiscard]] bool is_done() const { return possible_.size() == 1; }
  /// The answer, once it is done.
  [[nodiscard]] const ActionPermutation& permutation() const {
    ICRL_ASSERT(is_done(), "the permutation is not known yet");
    return possible_.front();
  }

  /// What to do at `cell` while it is not done: the first action whose outcome here is not known yet. At a wall there
  /// may be none, as neither staying nor a blocked move shows; then the first action that is known to lead to a cell
  /// where there is one. That is a neighbor: what moves away from the wall is known by then.
  [[nodiscard]] int next_action(Cell cell) const {
    if (const int action = first_unclear_action(cell); action != none) return action;
    for (int action = 0; action < ActionPermutation::action_count; ++action) {
      const Cell to = DarkRoom::moved(cell, possible_.front().move_of(action), side_);
      if (first_unclear_action(to) != none) return action;
    }
    return 0;  // it is done
  }

  /// Takes in that `action` led from one cell to the other within an episode. Throws Error, and forgets nothing, where
  /// no permutation agrees with that.
  void observe(Cell from, int action, Cell to) {
    const auto disagrees = [&](const ActionPermutation& permutation) {
      return DarkRoom::moved(from, permutation.move_of(action), side_) != to;
    };
    if (std::ranges::all_of(possible_, disagrees)) {
      fail(
          "action finder: action {} led from ({}, {}) to ({}, {}), which no permutation of the five moves in {} x {} "
          "cells does that agrees with the steps before",
          action, from.row, from.column, to.row, to.column, side_, side_);
    }
    std::erase_if(possible_, disagrees);
  }

private:
  static constexpr int none = -1;

  [[nodiscard]] int first_unclear_action(Cell cell) const {
    for (int action = 0; action < ActionPermutation::action_count; ++action) {
      const auto outcome = [&](const ActionPermutation& permutation) {
        return DarkRoom::moved(cell, permutation.move_of(action), side_);
      };
      const Cell first = outcome(possible_.front());
      if (!std::ranges::all_of(possible_, [&](const auto& permutation) { return outcome(permutation) == first; }))
        return action;
    }
    return none;
  }

  int side_;
  std::vector<ActionPermutation> possible_;  // all that agree with what was seen, never empty
};

}  // namespace icrl
