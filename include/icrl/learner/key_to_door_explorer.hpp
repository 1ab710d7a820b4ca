// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <span>

#include <icrl/core/rng.hpp>
#include <icrl/env/dark_room.hpp>
#include <icrl/learner/action_finder.hpp>
#include <icrl/learner/grid_moves.hpp>
#include <icrl/learner/learner.hpp>
#include <icrl/learner/systematic_explorer.hpp>

namespace icrl {

/// How the explorer chooses.
struct KeyToDoorExplorerConfig {
  /// Whether to choose randomly among equally good cells and paths. If false, it takes the first one: then it searches
  /// in the same order in every history, which a model learns with less training.
  bool random_ties = false;
};

/// Finds the key and the door of Key-to-Door without wasting steps. It knows how actions move it but not where the key
/// and the door are.
///
/// It runs two searches (see SystematicExplorer), one for each. Until the key has paid, it visits the cells that it has
/// visited least, over all episodes. With the key it starts a new search, because a cell visited without the key may be
/// the door. It remembers both places: every later episode goes straight to the key, then to the door, and stays there.
/// Whether it has the key follows from the rewards of the episode.
///
/// It acts without noise. Wrap it in a NoisyLearner to add noise; the expert action is then what the explorer intended.
template <MoveModel M>
class KeyToDoorExplorer {
public:
  /// `moves` says how actions move it in the room.
  explicit KeyToDoorExplorer(const M& moves, const KeyToDoorExplorerConfig& config = {})
      : key_search_{moves, {.noise = 0, .random_ties = config.random_ties}}, door_search_{key_search_} {}

  void act(std::span<const float> observation, std::span<float> action, Rng& rng) {
    (has_key_ ? door_search_ : key_search_).act(observation, action, rng);
  }

  void learn(const Transition& transition) {
    if (has_key_) {
      door_search_.learn(transition);
    } else {
      key_search_.learn(transition);
      has_key_ = transition.reward > 0;
      if (has_key_) door_search_.learn({.next_observation = transition.next_observation});  // the key is not the door
    }
    if (transition.ends_episode()) has_key_ = false;
  }

  /// Throws Error unless these are the spaces of its move model.
  void check_spaces(const Space& observation_space,
                    const Space& action_space) const requires ExpectsSpaces<SystematicExplorer<M>> {
    key_search_.check_spaces(observation_space, action_space);
  }

private:
  SystematicExplorer<M> key_search_, door_search_;
  bool has_key_ = false;  // in the current episode
};
static_assert(Learner<KeyToDoorExplorer<GridMoves>> && ExpectsSpaces<KeyToDoorExplorer<GridMoves>>);

/// The same for permuted actions: it does not know how actions move it either. It first finds out by trying each action
/// (see ActionFinder); cells that it visits meanwhile count as visited. Then it searches like KeyToDoorExplorer.
class PermutedKeyToDoorExplorer {
public:
  /// For a room of `side` x `side` cells, side >= 2.
  explicit PermutedKeyToDoorExplorer(int side, const KeyToDoorExplorerConfig& config = {})
      : finder_{side}, explorer_{GridMoves{side}, config} {}

  void act(std::span<const float> observation, std::span<float> action, Rng& rng) {
    if (!finder_.is_done()) {
      action[0] = static_cast<float>(finder_.next_action(cell_of(observation)));
      return;
    }
    explorer_.act(observation, action, rng);
    action[0] = static_cast<float>(finder_.permutation().action_of(static_cast<int>(action[0])));
  }

  void learn(const Transition& transition) {
    if (!finder_.is_done()) {
      finder_.observe(cell_of(transition.observation), static_cast<int>(transition.action[0]),
                      cell_of(transition.next_observation));
    }
    explorer_.learn(transition);
  }

  /// Throws Error unless these are the spaces of a room with this side.
  void check_spaces(const Space& observation_space, const Space& action_space) const {
    explorer_.check_spaces(observation_space, action_space);
  }

  /// What it has found out about the actions.
  [[nodiscard]] const ActionFinder& finder() const { return finder_; }

private:
  [[nodiscard]] static Cell cell_of(std::span<const float> observation) {
    return {static_cast<int>(observation[0]), static_cast<int>(observation[1])};
  }

  ActionFinder finder_;
  KeyToDoorExplorer<GridMoves> explorer_;
};
static_assert(Learner<PermutedKeyToDoorExplorer> && ExpectsSpaces<PermutedKeyToDoorExplorer>);

}  // namespace icrl
