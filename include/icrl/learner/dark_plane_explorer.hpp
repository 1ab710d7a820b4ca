// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/dark_plane.hpp>
#include <icrl/env/plane_point.hpp>
#include <icrl/env/space.hpp>
#include <icrl/learner/disc_search.hpp>
#include <icrl/learner/learner.hpp>

namespace icrl {

/// Where to be after each step, a list for each episode: walks that together come near every place of a plane.
using PlaneSweeps = std::vector<std::vector<PlanePoint>>;

namespace detail {

/// Throws Error for an invalid option, and for a radius whose grid of centers would be too large.
inline void check_searchable(const DarkPlaneOptions& options) {
  validate(options);
  constexpr float least = 0.02f;
  if (options.radius < least)
    fail("plane sweeps: radius is {}, it must be at least {} to search with", options.radius, least);
}

/// Any center of a disc in the square, and those points of the grid that may stand for one beside it.
[[nodiscard]] inline DiscSearch search_of_square(double radius) {
  return {radius, [](PlanePoint center, double off_grid) {
            return std::abs(center.x) <= 1 + off_grid && std::abs(center.y) <= 1 + off_grid;
          }};
}

/// Of the places that one longest move along the axes or the diagonals leads to, the one that would rule out most
/// centers; of equally many, the one nearest to the nearest center that is left, which is also where to go if no move
/// rules out any.
[[nodiscard]] inline PlanePoint next_place(const DiscSearch& search, PlanePoint from, double move) {
  const PlanePoint nearest = search.target(from);
  const auto step = [&](double to, double at) { return std::clamp(at + std::clamp(to - at, -move, move), -1.0, 1.0); };
  PlanePoint best{step(nearest.x, from.x), step(nearest.y, from.y)};
  std::pair<std::ptrdiff_t, double> best_score{0, 0};
  for (int x = -1; x <= 1; ++x) {
    for (int y = -1; y <= 1; ++y) {
      const PlanePoint to{step(from.x + x * move, from.x), step(from.y + y * move, from.y)};
      const std::pair score{search.covered_from(to), -distance(to, nearest)};
      if (score.first == 0 || (best_score.first > 0 && score <= best_score)) continue;
      best = to;
      best_score = score;
    }
  }
  return best;
}

}  // namespace detail

/// Plans sweeps of one episode each that together pass within the radius of every place, greedily: each step goes where
/// it covers most new places. Takes milliseconds for radii from 0.1 on, and seconds at 0.05: plan once, not once per
/// explorer. Throws Error for an invalid option, for a radius below 0.02, and if an episode is too short to reach every
/// place.
[[nodiscard]] inline PlaneSweeps plan_plane_sweeps(const DarkPlaneOptions& options) {
  detail::check_searchable(options);
  DiscSearch search = detail::search_of_square(static_cast<double>(options.radius));
  PlaneSweeps sweeps;
  while (!search.centers().empty()) {
    PlanePoint place;
    std::vector<PlanePoint>& sweep = sweeps.emplace_back();
    const std::size_t left = search.centers().size();
    for (int t = 0; t < options.horizon; ++t) {
      if (!search.centers().empty()) place = detail::next_place(search, place, static_cast<double>(options.max_move));
      search.note(place, /*is_paid*/ false);
      sweep.push_back(place);
    }
    if (search.centers().size() == left) {
      fail(
          "plane sweeps: episodes of {} steps of at most {} do not lead within {} of every place (use a longer horizon)",
          options.horizon, options.max_move, options.radius);
    }
  }
  return sweeps;
}

/// Searches a Dark Plane for its target. It knows the disc's radius and how actions move it; it finds out where the
/// disc lies. Until it is paid it makes the planned sweeps in turn, one per episode; a move that is not its own only
/// delays it. Once it was paid, it goes to the middle of the centers that the disc can still have, and stays there. It
/// draws no random numbers. The last sweep determines the next, so a short context is enough to imitate it.
class DarkPlaneExplorer {
public:
  /// `sweeps`: see plan_plane_sweeps, with the same options. Throws Error for an invalid option, for a radius below
  /// 0.02, and for no sweeps or empty ones.
  DarkPlaneExplorer(const DarkPlaneOptions& options, PlaneSweeps sweeps)
      : max_move_{static_cast<double>(options.max_move)},
        sweeps_{std::move(sweeps)},
        search_{detail::search_of_square(static_cast<double>(checked(options, sweeps_).radius))} {}
  /// Plans its own sweeps, which takes seconds for small radii (see plan_plane_sweeps).
  explicit DarkPlaneExplorer(const DarkPlaneOptions& options)
      : DarkPlaneExplorer{options, plan_plane_sweeps(options)} {}

  void act(std::span<const float> observation, std::span<float> action, Rng&) {
    const PlanePoint from = place_of(observation), to = search_.is_found() ? search_.target(from) : planned_place();
    planned_action_ = {clipped(to.x - from.x), clipped(to.y - from.y)};
    std::ranges::copy(planned_action_, action.begin());
  }

  /// Throws Error if no center is left, because the plane has another radius than it was made for. After that
  /// it may only be assigned to.
  void learn(const Transition& transition) {
    search_.note(place_of(transition.next_observation), transition.reward > 0);
    if (search_.centers().empty())
      fail("dark plane explorer: no place is left for the target; this is not the plane it knows");
    ++time_;
    if (!transition.ends_episode()) return;
    time_ = 0;
    episode_ = (episode_ + 1) % sweeps_.size();
  }

  /// Throws Error unless these are the spaces of a Dark Plane with its longest move.
  void check_spaces(const Space& observation_space, const Space& action_space) const {
    const auto most = static_cast<float>(max_move_);
    const Space square = Box{{-1, -1}, {1, 1}}, moves = Box{{-most, -most}, {most, most}};
    detail::check_observation_space(square, observation_space, "dark plane explorer");
    detail::check_action_space(moves, action_space, "dark plane explorer");
  }

  /// Its action at the last observation.
  void expert_action(std::span<float> action) const { std::ranges::copy(planned_action_, action.begin()); }

private:
  static const DarkPlaneOptions& checked(const DarkPlaneOptions& options, const PlaneSweeps& sweeps) {
    detail::check_searchable(options);
    if (sweeps.empty() || std::ranges::any_of(sweeps, &std::vector<PlanePoint>::empty))
      fail("dark plane explorer: it needs sweeps of at least one step each (see plan_plane_sweeps)");
    return options;
  }

  static PlanePoint place_of(std::span<const float> observation) {
    return {static_cast<double>(observation[0]), static_cast<double>(observation[1])};
  }

  [[nodiscard]] float clipped(double move) const { return static_cast<float>(std::clamp(move, -max_move_, max_move_)); }

  /// Where it should be after the next step, of a sweep that may be shorter than the episode.
  [[nodiscard]] PlanePoint planned_place() const {
    const std::vector<PlanePoint>& sweep = sweeps_[episode_];
    return sweep[std::min(time_, sweep.size() - 1)];
  }

  double max_move_;
  PlaneSweeps sweeps_;
  DiscSearch search_;
  std::size_t episode_ = 0, time_ = 0;  // the sweep, and its step
  std::array<float, 2> planned_action_{};
};
static_assert(Learner<DarkPlaneExplorer> && ExpectsSpaces<DarkPlaneExplorer> && HasExpertAction<DarkPlaneExplorer>);

}  // namespace icrl
