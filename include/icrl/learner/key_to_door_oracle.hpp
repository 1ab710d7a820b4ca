// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <span>

#include <icrl/core/rng.hpp>
#include <icrl/env/action_permutation.hpp>
#include <icrl/env/key_to_door.hpp>
#include <icrl/learner/grid_moves.hpp>
#include <icrl/learner/learner.hpp>

namespace icrl {

/// Knows the task: takes a shortest path to the key, then one to the door, and stays. No policy earns more.
class KeyToDoorOracle {
public:
  /// For a room of `side` x `side` cells. The permutation of actions is known as well.
  KeyToDoorOracle(int side, const KeyToDoorTask& task)
      : moves_{side},
        key_{task.key.row * side + task.key.column},
        door_{task.door.row * side + task.door.column},
        permutation_{task.permutation} {}

  void act(std::span<const float> observation, std::span<float> action, Rng& rng) {
    const int move = action_towards(moves_, moves_.cell_of(observation), has_key_ ? door_ : key_, rng);
    action[0] = static_cast<float>(permutation_.action_of(move));
  }
  void learn(const Transition& transition) {
    has_key_ = (has_key_ || transition.reward > 0) && !transition.ends_episode();
  }

  /// Throws Error unless these are the spaces of a room with this side.
  void check_spaces(const Space& observation_space, const Space& action_space) const {
    detail::check_spaces_of(moves_, observation_space, action_space, "key-to-door oracle");
  }

private:
  GridMoves moves_;
  int key_, door_;  // cells
  ActionPermutation permutation_;
  bool has_key_ = false;
};
static_assert(Learner<KeyToDoorOracle> && ExpectsSpaces<KeyToDoorOracle>);

}  // namespace icrl
