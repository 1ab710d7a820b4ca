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

/// Finds out which move of a grid each of five actions makes, by watching the outcome of steps. It keeps the
/// permutations that agree with all steps so far, so its answer is never wrong, and the last action needs no trial. It
/// is not a learner itself: a learner asks it which action to try until it is done.
class ActionFinder {
public:
  /// For a room of `side` x `side` cells, side >= 2. In a single cell all actions have the same outcome.
  explicit ActionFinder(int side) : side_{side} {
    ICRL_ASSERT(side >= 2, "action finder: side must be at least 2");
    for (int number = 0; number < ActionPermutation::count; ++number) possible_.emplace_back(number);
  }

  /// Whether only one permutation agrees with all steps.
  [[nodiscard]] bool is_done() const { return possible_.size() == 1; }
  /// The permutation, once it is done.
  [[nodiscard]] const ActionPermutation& permutation() const {
    ICRL_ASSERT(is_done(), "action finder: permutation() needs is_done()");
    return possible_.front();
  }

  /// The action to try at `cell` while it is not done: the first action whose outcome at this cell is unknown. At a
  /// wall there may be none, because a blocked move looks like staying. Then it returns the first action that is known
  /// to lead to another cell; at that point the move away from the wall is known.
  [[nodiscard]] int next_action(Cell cell) const {
    if (const int action = first_unclear_action(cell); action != none) return action;
    for (int action = 0; action < ActionPermutation::action_count; ++action) {
      const Cell to = DarkRoom::moved(cell, possible_.front().move_of(action), side_);
      if (first_unclear_action(to) != none) return action;
    }
    return 0;  // it is done
  }

  /// Records that `action` led from one cell to another within an episode. If no permutation agrees with this, throws
  /// Error and forgets nothing.
  void observe(Cell from, int action, Cell to) {
    const auto disagrees = [&](const ActionPermutation& permutation) {
      return DarkRoom::moved(from, permutation.move_of(action), side_) != to;
    };
    if (std::ranges::all_of(possible_, disagrees)) {
      fail(
          "action finder: action {} led from ({}, {}) to ({}, {}), but no permutation of the five moves in {} x {} "
          "cells explains this together with the earlier steps",
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
  std::vector<ActionPermutation> possible_;  // permutations that agree with all steps so far, never empty
};

}  // namespace icrl
