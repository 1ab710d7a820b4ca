// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/dark_plane.hpp>
#include <icrl/env/space.hpp>
#include <icrl/learner/disc_search.hpp>
#include <icrl/learner/learner.hpp>

namespace icrl {

/// Searches a Dark Plane for its target. It knows the disc's radius and how actions move it; it finds out where the
/// disc lies. Of its longest moves along the axes and the diagonals it makes the one that would rule out most centers
/// of the disc, and goes to the nearest center that is left where none would. Once it was paid, it goes to the middle
/// of the centers that are left, and stays there. It draws no random numbers.
class DarkPlaneExplorer {
public:
  /// Throws Error for an invalid option, and for a radius below 0.02, whose grid would be too fine to search.
  explicit DarkPlaneExplorer(const DarkPlaneOptions& options)
      : max_move_{static_cast<double>(checked(options).max_move)},
        search_{static_cast<double>(options.radius), [](PlanePoint center, double off_grid) {
                  return std::abs(center.x) <= 1 + off_grid && std::abs(center.y) <= 1 + off_grid;
                }} {}

  void act(std::span<const float> observation, std::span<float> action, Rng&) {
    const PlanePoint from = place_of(observation), to = search_.is_found() ? search_.target(from) : next_place(from);
    planned_action_ = {clipped(to.x - from.x), clipped(to.y - from.y)};
    std::ranges::copy(planned_action_, action.begin());
  }

  /// Throws Error if no center is left, because the plane has another radius than it was made for.
  void learn(const Transition& transition) {
    search_.note(place_of(transition.next_observation), transition.reward > 0);
    if (search_.centers().empty())
      fail("dark plane explorer: no place is left for the target; this is not the plane it knows");
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
  static const DarkPlaneOptions& checked(const DarkPlaneOptions& options) {
    validate(options);
    constexpr float least = 0.02f;  // of a grid that can still be searched at every step
    if (options.radius < least)
      fail("dark plane explorer: radius is {}, it must be at least {} to search with", options.radius, least);
    return options;
  }

  static PlanePoint place_of(std::span<const float> observation) {
    return {static_cast<double>(observation[0]), static_cast<double>(observation[1])};
  }

  [[nodiscard]] float clipped(double move) const { return static_cast<float>(std::clamp(move, -max_move_, max_move_)); }

  /// Where to look next.
  [[nodiscard]] PlanePoint next_place(PlanePoint from) const {
    const PlanePoint nearest = search_.target(from);
    PlanePoint best = nearest;
    // Most centers ruled out; of equally many, the place nearest to the nearest center.
    std::pair<std::ptrdiff_t, double> best_score{0, 0};
    for (int x = -1; x <= 1; ++x) {
      for (int y = -1; y <= 1; ++y) {
        const PlanePoint to{std::clamp(from.x + x * max_move_, -1.0, 1.0),
                            std::clamp(from.y + y * max_move_, -1.0, 1.0)};
        const std::pair score{search_.covered_from(to), -distance(to, nearest)};
        if (score.first == 0 || (best_score.first > 0 && score <= best_score)) continue;
        best = to;
        best_score = score;
      }
    }
    return best;
  }

  double max_move_;
  DiscSearch search_;
  std::array<float, 2> planned_action_{};
};
static_assert(Learner<DarkPlaneExplorer> && ExpectsSpaces<DarkPlaneExplorer> && HasExpertAction<DarkPlaneExplorer>);

}  // namespace icrl
