// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <span>

#include <icrl/core/assert.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/environment.hpp>
#include <icrl/env/task_family.hpp>
#include <icrl/env/watermaze_pool.hpp>
#include <icrl/env/watermaze_view.hpp>

namespace icrl {

/// The water maze of Laskin et al. (2022, section 4), which is that of Morris (1981), with a ray caster in place of
/// DeepMind Lab. A swimmer in a round pool sees the wall and its colors, but not the platform under the water. It
/// starts in the center and takes one of eight actions (`PoolMoves::Action`). A step that ends on the platform pays 1
/// and ends the episode; without it the episode is truncated at the horizon.
class Watermaze {
public:
  /// Throws Error for an invalid option, and for a platform that is not within the pool or that covers the start.
  Watermaze(const WatermazeOptions& options, PlanePoint platform)
      : options_{options}, moves_{options}, view_{options.height, options.width}, platform_{platform} {
    const double from_center = distance(platform, {});
    if (!(from_center > options.radius && from_center <= 1 - options.radius)) {
      fail("watermaze: the platform ({}, {}) is {} from the center, it must be more than {} and at most {}", platform.x,
           platform.y, from_center, options.radius, 1 - options.radius);
    }
  }

  [[nodiscard]] Space observation_space() const { return image_box(options_.height, options_.width, 3); }
  [[nodiscard]] Space action_space() const { return Discrete{PoolMoves::action_count}; }

  /// Draws from `rng` only for a random heading.
  void reset(Rng& rng) {
    pose_ = {};
    if (options_.random_heading) pose_.heading = rng.below(options_.headings);
    time_ = 0;
  }

  StepResult step(int action, Rng&) {
    ICRL_ASSERT(action >= 0 && action < PoolMoves::action_count, "watermaze: an action must lie in 0 .. 7");
    ICRL_ASSERT(!is_on_platform() && time_ < options_.horizon, "watermaze: the episode is over, call reset()");
    pose_ = moves_.moved(pose_, action);
    ++time_;
    if (is_on_platform()) return {1, true, false};
    return {0, false, time_ == options_.horizon};
  }

  void observe(std::span<float> out) const { view_.draw(pose_.position, moves_.angle(pose_.heading), out); }

  /// Where the swimmer is; an agent sees it only through the view.
  [[nodiscard]] const PoolPose& pose() const { return pose_; }
  /// The center of the platform, which is not seen.
  [[nodiscard]] PlanePoint platform() const { return platform_; }
  [[nodiscard]] const WatermazeOptions& options() const { return options_; }

private:
  [[nodiscard]] bool is_on_platform() const { return distance(pose_.position, platform_) <= options_.radius; }

  WatermazeOptions options_;
  PoolMoves moves_;
  PoolView view_;
  PlanePoint platform_;
  PoolPose pose_{};
  int time_ = 0;
};
static_assert(Environment<Watermaze>);

/// Water mazes whose platforms are uniform over all places that are at least two radii from the start and have the
/// whole platform in the water.
class Watermazes {
public:
  /// Throws Error for an option outside its range.
  explicit Watermazes(const WatermazeOptions& options = {}) : options_{options} { validate(options); }

  [[nodiscard]] int task_count() const { return options_.task_count; }
  [[nodiscard]] const WatermazeOptions& options() const { return options_; }

  [[nodiscard]] Watermaze make(int task) const {
    ICRL_ASSERT(task >= 0 && task < options_.task_count, "watermaze: task must lie in 0 .. task_count() - 1");
    Rng rng = Rng{options_.seed, platform_stream}.fork(static_cast<std::uint64_t>(task));
    const double least = 2 * options_.radius, most = 1 - options_.radius;
    const double from_center = std::sqrt(least * least + (most * most - least * least) * rng.uniform());
    const double angle = 2 * std::numbers::pi * rng.uniform();
    return {options_, {from_center * std::cos(angle), from_center * std::sin(angle)}};
  }

  /// Always 1: each platform can be reached within the horizon (see validate).
  [[nodiscard]] double oracle_return(int task) const {
    ICRL_ASSERT(task >= 0 && task < options_.task_count, "watermaze: task must lie in 0 .. task_count() - 1");
    return 1;
  }

  /// The return of uniformly random actions: the mean over 4096 simulated episodes, the same ones for every task, with
  /// a standard error below 0.008.
  [[nodiscard]] double random_return(int task) const {
    constexpr int episodes = 4096;
    Watermaze maze = make(task);
    int found = 0;
    for (int episode = 0; episode < episodes; ++episode) {
      Rng rng = Rng{options_.seed, random_stream}.fork(static_cast<std::uint64_t>(episode));
      maze.reset(rng);
      StepResult result{};
      while (!result.terminated && !result.truncated) result = maze.step(rng.below(PoolMoves::action_count), rng);
      found += result.terminated ? 1 : 0;
    }
    return static_cast<double>(found) / episodes;
  }

private:
  static constexpr std::uint64_t platform_stream = 1, random_stream = 2;

  WatermazeOptions options_;
};
static_assert(TaskFamily<Watermazes> && HasOracleReturn<Watermazes> && HasRandomReturn<Watermazes>);

}  // namespace icrl
