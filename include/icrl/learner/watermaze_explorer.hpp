// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/space.hpp>
#include <icrl/env/watermaze_pool.hpp>
#include <icrl/learner/learner.hpp>

namespace icrl {

/// Searches a water maze for its platform. It does not look at the picture: it knows the pool, the platform's size and
/// how actions move it, and keeps track of where it is. What it does not know is where the platform lies.
///
/// It keeps a grid of possible centers of the platform. A step that is not paid rules out the centers within the
/// platform's radius of where it ended; a paid one rules out all others. It swims to the nearest center that is left,
/// and once it was paid, to the middle of those that are left. Radii are taken as smaller or larger by as much as the
/// platform's center may lie off the grid, so the grid's nearest point is never ruled out. It takes no turns of its
/// own; random actions of a NoisyLearner may turn it.
class WatermazeExplorer {
public:
  /// Throws Error for an invalid option; for a random heading, which it could not know; and for moves so long that it
  /// could not rule out every center.
  explicit WatermazeExplorer(const WatermazeOptions& options) : options_{options}, moves_{options} {
    if (options.random_heading)
      fail("watermaze explorer: random_heading is true, but it cannot know a heading that it has not chosen");
    const double spacing = options.radius / points_per_radius;
    off_grid_ = spacing / std::numbers::sqrt2;
    if (const double nearest = options.move / std::numbers::sqrt2; nearest > options.radius - off_grid_) {
      fail("watermaze explorer: radius is {}, it must be at least {:.3f} to search with a move of {}", options.radius,
           nearest / (1 - off_grid_ / options.radius), options.move);
    }
    const int most = static_cast<int>(1 / spacing);
    for (int i = -most; i <= most; ++i) {
      for (int j = -most; j <= most; ++j) {
        const PoolPoint center{i * spacing, j * spacing};
        const double from_start = distance(center, {});
        if (from_start > options.radius - off_grid_ && from_start <= 1 - options.radius + off_grid_)
          possible_.push_back(center);
      }
    }
  }

  void act(std::span<const float>, std::span<float> action, Rng&) {
    planned_action_ = moves_.move_towards(pose_, target());
    action[0] = static_cast<float>(planned_action_);
  }

  /// Throws Error if no center is left, because the maze has other options than it was made for.
  void learn(const Transition& transition) {
    pose_ = moves_.moved(pose_, static_cast<int>(transition.action[0]));
    const bool is_paid = transition.reward > 0;
    const double reach = options_.radius + (is_paid ? off_grid_ : -off_grid_);
    const auto is_impossible = [&](PoolPoint center) { return (distance(center, pose_.position) <= reach) != is_paid; };
    std::erase_if(possible_, is_impossible);
    if (possible_.empty()) fail("watermaze explorer: no place is left for the platform; this is not the maze it knows");
    was_paid_ = was_paid_ || is_paid;
    if (transition.ends_episode()) pose_ = {};
  }

  /// Throws Error unless these are the spaces of a water maze with its options.
  void check_spaces(const Space& observation_space, const Space& action_space) const {
    const Space picture = image_box(options_.height, options_.width, 3), actions = Discrete{PoolMoves::action_count};
    detail::check_observation_space(picture, observation_space, "watermaze explorer");
    detail::check_action_space(actions, action_space, "watermaze explorer");
  }

  /// Its action at the last observation.
  void expert_action(std::span<float> action) const { action[0] = static_cast<float>(planned_action_); }

  /// Centers of the platform that are not ruled out; at least one.
  [[nodiscard]] std::span<const PoolPoint> possible_centers() const { return possible_; }
  /// Where it is.
  [[nodiscard]] const PoolPose& pose() const { return pose_; }

private:
  static constexpr int points_per_radius = 6;

  [[nodiscard]] PoolPoint target() const {
    if (was_paid_) {
      PoolPoint sum;
      for (const PoolPoint center : possible_) sum = {sum.x + center.x, sum.y + center.y};
      const auto count = static_cast<double>(possible_.size());
      return {sum.x / count, sum.y / count};
    }
    return *std::ranges::min_element(possible_, {}, [&](PoolPoint center) { return distance(center, pose_.position); });
  }

  WatermazeOptions options_;
  PoolMoves moves_;
  double off_grid_;  // the farthest that a place lies from the grid's nearest point
  std::vector<PoolPoint> possible_;
  PoolPose pose_{};
  bool was_paid_ = false;
  int planned_action_ = 0;
};
static_assert(Learner<WatermazeExplorer> && ExpectsSpaces<WatermazeExplorer> && HasExpertAction<WatermazeExplorer>);

}  // namespace icrl
