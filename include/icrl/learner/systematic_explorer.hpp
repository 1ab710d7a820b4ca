// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/learner/grid_moves.hpp>
#include <icrl/learner/learner.hpp>

namespace icrl {

/// How the explorer chooses, and how often it errs.
struct SystematicExplorerConfig {
  double noise = 0.05;      ///< probability of a random action, so that histories also show how to recover from one
  bool random_ties = true;  ///< choose randomly among equally good cells and paths; false: the first one
};

/// Searches for a hidden reward without wasting steps. It knows how actions move it but not where the reward is; it
/// learns that when it is rewarded.
///
/// Until then it walks to the nearest of the cells that it has visited least, over all episodes. Among several, it
/// takes the one with the most visited and the fewest unvisited neighbors, so that no single cells are left behind.
/// Afterwards it goes straight to the rewarded cell and stays. A source of this kind teaches exploration that noise
/// cannot teach.
template <MoveModel M>
class SystematicExplorer {
public:
  /// `moves` says how actions move it. Throws Error for a noise outside 0 .. 1.
  explicit SystematicExplorer(M moves, const SystematicExplorerConfig& config = {})
      : moves_{std::move(moves)},
        noise_{config.noise},
        random_ties_{config.random_ties},
        visits_(static_cast<std::size_t>(moves_.cell_count())) {
    if (!(noise_ >= 0 && noise_ <= 1)) fail("systematic explorer: noise is {}, it must lie in [0, 1]", noise_);
    neighbors_.reserve(visits_.size() * static_cast<std::size_t>(moves_.action_count()));
    for (int cell = 0; cell < moves_.cell_count(); ++cell)
      for (int action = 0; action < moves_.action_count(); ++action) neighbors_.push_back(moves_.moved(cell, action));
  }

  void act(std::span<const float> observation, std::span<float> action, Rng& rng) {
    const int cell = moves_.cell_of(observation);
    planned_action_ =
        action_towards(moves_, cell, goal_ != unknown ? goal_ : next_target(cell, rng), rng, random_ties_);
    const int chosen = rng.chance(noise_) ? rng.below(moves_.action_count()) : planned_action_;
    action[0] = static_cast<float>(chosen);
  }

  void learn(const Transition& transition) {
    const int cell = moves_.cell_of(transition.next_observation);
    ++visits_[static_cast<std::size_t>(cell)];
    if (transition.reward > 0) goal_ = cell;
  }

  /// Throws Error unless these are the spaces of its move model.
  void check_spaces(const Space& observation_space, const Space& action_space) const requires MoveModelWithSpaces<M> {
    detail::check_spaces_of(moves_, observation_space, action_space, "systematic explorer");
  }

  /// The action without noise at the last observation.
  void expert_action(std::span<float> action) const { action[0] = static_cast<float>(planned_action_); }

private:
  static constexpr int unknown = -1;

  [[nodiscard]] int next_target(int from, Rng& rng) const {
    int target = from, ties = 0;
    int least = std::numeric_limits<int>::max(), nearest = 0, most_enclosed = 0;
    for (int cell = 0; cell < moves_.cell_count(); ++cell) {
      const int visits = visits_[static_cast<std::size_t>(cell)];
      if (visits > least) continue;
      const int distance = moves_.distance(from, cell);
      if (visits == least && distance > nearest) continue;
      const int enclosed = visited_neighbors(cell, visits);
      const bool is_equal = visits == least && distance == nearest;
      if (is_equal && enclosed < most_enclosed) continue;
      ties = is_equal && enclosed == most_enclosed ? ties + 1 : 1;
      least = visits;
      nearest = distance;
      most_enclosed = enclosed;
      if (ties == 1 || (random_ties_ && rng.below(ties) == 0)) target = cell;
    }
    return target;
  }

  /// Number of neighbors visited more often than `visits`, minus the number of the others. Walls do not count.
  [[nodiscard]] int visited_neighbors(int cell, int visits) const {
    const auto actions = static_cast<std::size_t>(moves_.action_count());
    int balance = 0;
    for (std::size_t a = 0; a < actions; ++a) {
      const int neighbor = neighbors_[static_cast<std::size_t>(cell) * actions + a];
      if (neighbor != cell) balance += visits_[static_cast<std::size_t>(neighbor)] > visits ? 1 : -1;
    }
    return balance;
  }

  M moves_;
  double noise_;
  bool random_ties_;
  std::vector<int> visits_;     // arrivals per cell; the start of an episode is not an arrival
  std::vector<int> neighbors_;  // (cell, action)
  int goal_ = unknown;
  int planned_action_ = 0;
};
static_assert(Learner<SystematicExplorer<GridMoves>> && ExpectsSpaces<SystematicExplorer<GridMoves>>);

}  // namespace icrl
