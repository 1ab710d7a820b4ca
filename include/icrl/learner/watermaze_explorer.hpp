// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <numbers>
#include <span>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/plane_point.hpp>
#include <icrl/env/space.hpp>
#include <icrl/env/watermaze_pool.hpp>
#include <icrl/learner/disc_search.hpp>
#include <icrl/learner/learner.hpp>

namespace icrl {

/// Searches a water maze for its platform. It does not look at the picture: it knows the pool, the platform's size and
/// how actions move it, and keeps track of where it is. What it does not know is where the platform lies.
///
/// It swims to the nearest place where the center of the platform can still lie, and once it was paid, to the middle of
/// those places (see DiscSearch). It takes no turns of its own; random actions of a NoisyLearner may turn it.
class WatermazeExplorer {
public:
  /// Throws Error for an invalid option; for a random heading, which it could not know; and for moves so long that it
  /// could not rule out every center.
  explicit WatermazeExplorer(const WatermazeOptions& options)
      : options_{checked(options)}, moves_{options}, search_{options.radius, [&](PlanePoint center, double off_grid) {
                                                               const double from_start = distance(center, {});
                                                               return from_start > options.radius - off_grid &&
                                                                      from_start <= 1 - options.radius + off_grid;
                                                             }} {}

  void act(std::span<const float>, std::span<float> action, Rng&) {
    planned_action_ = moves_.move_towards(pose_, search_.target(pose_.position));
    action[0] = static_cast<float>(planned_action_);
  }

  /// Throws Error if no center is left, because the maze has other options than it was made for. After that it
  /// may only be assigned to.
  void learn(const Transition& transition) {
    pose_ = moves_.moved(pose_, static_cast<int>(transition.action[0]));
    search_.note(pose_.position, transition.reward > 0);
    if (search_.centers().empty())
      fail("watermaze explorer: no place is left for the platform; this is not the maze it knows");
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

  /// What it knows of the platform.
  [[nodiscard]] const DiscSearch& search() const { return search_; }
  /// Where it is.
  [[nodiscard]] const PoolPose& pose() const { return pose_; }

private:
  static const WatermazeOptions& checked(const WatermazeOptions& options) {
    validate(options);
    if (options.random_heading)
      fail("watermaze explorer: random_heading is true, but it cannot know a heading that it has not chosen");
    const double off_grid = DiscSearch::off_grid(options.radius), nearest = options.move / std::numbers::sqrt2;
    if (nearest > options.radius - off_grid) {
      fail("watermaze explorer: radius is {}, it must be at least {:.3f} to search with a move of {}", options.radius,
           nearest / (1 - off_grid / options.radius), options.move);
    }
    return options;
  }

  WatermazeOptions options_;
  PoolMoves moves_;
  DiscSearch search_;
  PoolPose pose_{};
  int planned_action_ = 0;
};
static_assert(Learner<WatermazeExplorer> && ExpectsSpaces<WatermazeExplorer> && HasExpertAction<WatermazeExplorer>);

}  // namespace icrl
