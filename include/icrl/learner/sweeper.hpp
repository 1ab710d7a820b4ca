// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/learner/grid_moves.hpp>
#include <icrl/learner/learner.hpp>

namespace icrl {

/// How walks are planned.
struct SweepConfig {
  int start = 0;  ///< cell in which every episode begins
  int steps = 1;  ///< of an episode
  /// Width of the beam search for one walk. With a wider beam fewer walks cover the room; planning takes longer, in
  /// proportion.
  int beam = 512;
  /// A cell's worth grows with its distance from the start to this power. If all were worth the same, the walks would
  /// leave the corners to the end, where each needs a walk of its own.
  double distance_power = 3;
};

/// The cells of each walk in the order in which they are entered.
using SweepPlan = std::vector<std::vector<int>>;

namespace detail {

/// One walk of a beam search: where it is, what it has covered, and what that is worth.
struct SweepWalk {
  int cell;
  double worth;
  std::uint64_t covered_hash;
  std::vector<bool> covered;  // cells that this walk or an earlier one has entered
  std::vector<int> path;
  int new_cells = 0;  // cells that no earlier walk has entered
};

/// Plans one walk after another.
template <MoveModel M>
class SweepPlanner {
public:
  SweepPlanner(const M& moves, const SweepConfig& config) : moves_{moves}, config_{config} {
    Rng rng{0};
    for (int cell = 0; cell < moves.cell_count(); ++cell) {
      const int distance = moves.distance(config.start, cell);
      worth_.push_back(std::pow(1.0 + distance, config.distance_power));
      hash_.push_back(rng.bits());
      if (distance <= config.steps) ++left_;
    }
    covered_.resize(worth_.size());
  }

  [[nodiscard]] SweepPlan plan() {
    SweepPlan plan;
    while (left_ > 0) {
      std::vector<int> walk = new_part(best_walk());
      // A narrow beam may lose all walks that lead to what is left.
      if (walk.empty()) walk = new_part(way_to_best_cell());
      plan.push_back(std::move(walk));
    }
    return plan;
  }

private:
  struct Extension {
    std::size_t walk;
    int cell;
    double worth;
    std::uint64_t covered_hash;
  };

  /// Marks the walk's cells as covered, and leaves out what follows the last new one.
  [[nodiscard]] std::vector<int> new_part(std::vector<int> walk) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < walk.size(); ++i) {
      const auto cell = static_cast<std::size_t>(walk[i]);
      if (covered_[cell]) continue;
      covered_[cell] = true;
      --left_;
      length = i + 1;
    }
    walk.resize(length);
    return walk;
  }

  [[nodiscard]] std::vector<int> best_walk() const {
    std::vector<SweepWalk> beam{{config_.start, 0, 0, covered_, {}}};
    for (int step = 0; step < config_.steps && beam.front().new_cells < left_; ++step) {
      std::vector<SweepWalk> longer = extended(beam);
      if (longer.empty()) break;  // the only cell is covered
      beam = std::move(longer);
    }
    return std::move(beam.front().path);
  }

  /// A shortest way to the cell that is worth most of those that are left.
  [[nodiscard]] std::vector<int> way_to_best_cell() const {
    int best = config_.start;
    double highest = 0;
    for (int cell = 0; cell < moves_.cell_count(); ++cell) {
      const auto c = static_cast<std::size_t>(cell);
      if (covered_[c] || worth_[c] <= highest || moves_.distance(config_.start, cell) > config_.steps) continue;
      best = cell;
      highest = worth_[c];
    }
    std::vector<int> walk;
    Rng rng{0};
    for (int at = config_.start; walk.empty() || at != best;) {
      at = moves_.moved(at, action_towards(moves_, at, best, rng, false));
      walk.push_back(at);
    }
    return walk;
  }

  /// The best walks that are one step longer; of those in one cell that covered the same, one.
  [[nodiscard]] std::vector<SweepWalk> extended(const std::vector<SweepWalk>& beam) const {
    std::vector<Extension> extensions;
    for (std::size_t i = 0; i < beam.size(); ++i) {
      for (int action = 0; action < moves_.action_count(); ++action) {
        const int cell = moves_.moved(beam[i].cell, action);
        const auto c = static_cast<std::size_t>(cell);
        const bool is_new = !beam[i].covered[c];
        if (cell == beam[i].cell && !is_new) continue;
        extensions.push_back(
            {i, cell, beam[i].worth + (is_new ? worth_[c] : 0), beam[i].covered_hash ^ (is_new ? hash_[c] : 0)});
      }
    }
    std::ranges::stable_sort(extensions, std::ranges::greater{}, &Extension::worth);
    std::vector<SweepWalk> longer;
    std::unordered_set<std::uint64_t> taken;
    for (const Extension& extension : extensions) {
      if (longer.size() == static_cast<std::size_t>(config_.beam)) break;
      const auto cell = static_cast<std::size_t>(extension.cell);
      if (!taken.insert(extension.covered_hash + 0x9e3779b97f4a7c15u * cell).second) continue;
      SweepWalk walk = beam[extension.walk];
      walk.cell = extension.cell;
      walk.worth = extension.worth;
      walk.covered_hash = extension.covered_hash;
      walk.new_cells += walk.covered[cell] ? 0 : 1;
      walk.covered[cell] = true;
      walk.path.push_back(extension.cell);
      longer.push_back(std::move(walk));
    }
    return longer;
  }

  const M& moves_;
  SweepConfig config_;
  std::vector<double> worth_;
  std::vector<std::uint64_t> hash_;
  std::vector<bool> covered_;
  int left_ = 0;  // cells that a walk can reach and none has covered
};

}  // namespace detail

/// Plans walks of one episode each that together enter every cell that can be reached within an episode, also the
/// start: an episode that begins in a cell has not entered it. Each walk is found by a beam search for the cells that
/// are worth most. Same arguments, same plan. Throws Error for a start outside the cells, steps outside 1 .. 65536, a
/// beam narrower than 1, or a power that is negative or not finite.
template <MoveModel M>
[[nodiscard]] SweepPlan plan_sweeps(const M& moves, const SweepConfig& config) {
  if (config.start < 0 || config.start >= moves.cell_count())
    fail("sweeps: start is cell {}, it must lie in 0 .. {}", config.start, moves.cell_count() - 1);
  constexpr int max_steps = 1 << 16;
  if (config.steps < 1 || config.steps > max_steps)
    fail("sweeps: steps is {}, it must lie in 1 .. {}", config.steps, max_steps);
  if (config.beam < 1) fail("sweeps: beam is {}, it must be at least 1", config.beam);
  if (!(config.distance_power >= 0) || !std::isfinite(config.distance_power))
    fail("sweeps: distance_power is {}, it must be 0 or more", config.distance_power);
  return detail::SweepPlanner<M>{moves, config}.plan();
}

/// Searches a large room for a hidden reward by fixed walks, one per episode, in turn. Once rewarded it goes straight
/// to the rewarded cell in every later episode and stays.
///
/// Which walk comes next follows from the walk of the episode before. So a model with a context of a few episodes can
/// imitate the search, however large the room is. A SystematicExplorer's next target depends on all cells that it has
/// ever visited: what lies outside the context is lost.
///
/// If noise leads it off its walk, it goes on to the next cell of the walk. Cells that it misses are covered in the
/// next round of all walks.
template <MoveModel M>
class Sweeper {
public:
  /// Throws Error for a plan without walks, an empty walk, or a cell that the moves do not have.
  Sweeper(M moves, SweepPlan plan) : moves_{std::move(moves)}, plan_{std::move(plan)} {
    if (plan_.empty()) fail("sweeper: the plan has no walks");
    for (std::size_t i = 0; i < plan_.size(); ++i) {
      if (plan_[i].empty()) fail("sweeper: walk {} of the plan has no cells", i);
      for (const int cell : plan_[i]) {
        if (cell < 0 || cell >= moves_.cell_count())
          fail("sweeper: walk {} of the plan enters cell {}, it must lie in 0 .. {}", i, cell, moves_.cell_count() - 1);
      }
    }
  }

  void act(std::span<const float> observation, std::span<float> action, Rng& rng) {
    constexpr bool random_ties = false;  // the same walk in every history is learned sooner
    const int target = goal_ != unknown ? goal_ : plan_[walk_][std::min(next_, plan_[walk_].size() - 1)];
    action[0] = static_cast<float>(action_towards(moves_, moves_.cell_of(observation), target, rng, random_ties));
  }

  void learn(const Transition& transition) {
    const int cell = moves_.cell_of(transition.next_observation);
    if (transition.reward > 0) goal_ = cell;
    if (next_ < plan_[walk_].size() && plan_[walk_][next_] == cell) ++next_;
    if (!transition.ends_episode()) return;
    walk_ = (walk_ + 1) % plan_.size();
    next_ = 0;
  }

  /// Throws Error unless these are the spaces of its move model.
  void check_spaces(const Space& observation_space, const Space& action_space) const requires MoveModelWithSpaces<M> {
    detail::check_spaces_of(moves_, observation_space, action_space, "sweeper");
  }

private:
  static constexpr int unknown = -1;

  M moves_;
  SweepPlan plan_;
  std::size_t walk_ = 0, next_ = 0;  // the walk of this episode, and its next cell
  int goal_ = unknown;
};
static_assert(Learner<Sweeper<GridMoves>> && ExpectsSpaces<Sweeper<GridMoves>>);

}  // namespace icrl
