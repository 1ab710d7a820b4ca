// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include <icrl/core/assert.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/environment.hpp>
#include <icrl/env/task_family.hpp>

namespace icrl {

/// What a family of Dark Planes is made with.
struct DarkPlaneOptions {
  int horizon = 30;       ///< steps in an episode
  float radius = 0.2f;    ///< radius of the disc around the target that pays; the square is 2 wide
  float max_move = 0.2f;  ///< the most that one step moves along each axis
  int task_count = 1024;
  std::uint64_t seed = 0;  ///< a target depends only on (seed, task)
};

inline void validate(const DarkPlaneOptions& options) {
  if (options.horizon < 1) fail("dark plane: horizon is {} steps, it must be at least 1", options.horizon);
  if (!(options.radius > 0) || !std::isfinite(options.radius))
    fail("dark plane: radius is {}, it must be positive", options.radius);
  if (!(options.max_move > 0) || !std::isfinite(options.max_move))
    fail("dark plane: max_move is {}, it must be positive", options.max_move);
  if (options.task_count < 1) fail("dark plane: task_count is {}, it must be at least 1", options.task_count);
}

/// A continuous Dark Room: a point moves in the square [-1, 1] x [-1, 1] and starts in its center. It observes its
/// position but not the target. An action is a move along both axes, clipped to the maximum move and to the square. A
/// step that ends inside the disc around the target pays 1. The episode is truncated at the horizon.
class DarkPlane {
public:
  using Point = std::array<float, 2>;  ///< x and y, each in -1 .. 1

  /// Throws Error for an invalid option or a target outside the square.
  DarkPlane(const DarkPlaneOptions& options, Point target) : options_{options}, target_{target} {
    validate(options);
    if (!(std::abs(target[0]) <= 1 && std::abs(target[1]) <= 1))
      fail("dark plane: the target ({}, {}) lies outside the square [-1, 1] x [-1, 1]", target[0], target[1]);
  }

  [[nodiscard]] Space observation_space() const { return Box{{-1, -1}, {1, 1}}; }
  [[nodiscard]] Space action_space() const {
    const float most = options_.max_move;
    return Box{{-most, -most}, {most, most}};
  }

  void reset(Rng&) {
    position_ = {0, 0};
    time_ = 0;
  }

  /// Throws Error for an action that is NaN.
  StepResult step(std::span<const float> action, Rng&) {
    ICRL_ASSERT(action.size() == 2, "dark plane: an action must have two numbers");
    ICRL_ASSERT(time_ < options_.horizon, "dark plane: the episode is over, call reset()");
    for (std::size_t i = 0; i < 2; ++i) {
      if (std::isnan(action[i])) fail("dark plane: component {} of the action is NaN", i);
      const float move = std::clamp(action[i], -options_.max_move, options_.max_move);
      position_[i] = std::clamp(position_[i] + move, -1.0f, 1.0f);
    }
    return {is_inside() ? 1.0f : 0.0f, false, ++time_ == options_.horizon};
  }

  void observe(std::span<float> out) const { std::copy(position_.begin(), position_.end(), out.begin()); }

  /// Where the agent is.
  [[nodiscard]] Point position() const { return position_; }
  /// The center of the disc that pays; the agent does not see it.
  [[nodiscard]] Point target() const { return target_; }
  [[nodiscard]] const DarkPlaneOptions& options() const { return options_; }

private:
  [[nodiscard]] bool is_inside() const {
    const float x = position_[0] - target_[0], y = position_[1] - target_[1];
    return x * x + y * y <= options_.radius * options_.radius;
  }

  DarkPlaneOptions options_;
  Point target_;
  Point position_{};
  int time_ = 0;
};
static_assert(Environment<DarkPlane>);

/// Dark Planes whose targets are uniform in the square. Random actions earn about 3 % of what the oracle earns.
class DarkPlanes {
public:
  /// Throws Error for an option outside its range.
  explicit DarkPlanes(const DarkPlaneOptions& options = {}) : options_{options} { validate(options); }

  [[nodiscard]] int task_count() const { return options_.task_count; }
  [[nodiscard]] const DarkPlaneOptions& options() const { return options_; }

  [[nodiscard]] DarkPlane make(int task) const {
    ICRL_ASSERT(task >= 0 && task < options_.task_count, "dark plane: task must lie in 0 .. task_count() - 1");
    Rng rng = Rng{options_.seed, target_stream}.fork(static_cast<std::uint64_t>(task));
    const float x = static_cast<float>(2 * rng.uniform() - 1);
    return {options_, {x, static_cast<float>(2 * rng.uniform() - 1)}};
  }

  /// The return of a policy that goes to the target as fast as each axis allows and stays there. This is the exact
  /// optimum: after n steps the point can be anywhere within n * max_move along each axis, and this policy is then at
  /// the nearest such point to the target.
  [[nodiscard]] double oracle_return(int task) const {
    const DarkPlane::Point target = make(task).target();
    return play(task, 0, [&](const DarkPlane& plane, std::size_t i, Rng&) {
      return target[i] - plane.position()[i];  // the plane clips the move
    });
  }

  /// The return of uniformly random actions: the mean over 4096 simulated episodes, the same ones for every task.
  /// Returns lie between 0 and the horizon, so the standard error is below horizon / 128.
  [[nodiscard]] double random_return(int task) const {
    constexpr int episodes = 4096;
    const auto act = [this](const DarkPlane&, std::size_t, Rng& rng) {
      return static_cast<float>((2 * rng.uniform() - 1) * static_cast<double>(options_.max_move));
    };
    double total = 0;
    for (int episode = 0; episode < episodes; ++episode) total += play(task, static_cast<std::uint64_t>(episode), act);
    return total / episodes;
  }

private:
  static constexpr std::uint64_t target_stream = 1, random_stream = 2;

  /// The return of one episode in which `act(plane, axis, rng)` chooses each component of the actions.
  template <typename Act>
  [[nodiscard]] double play(int task, std::uint64_t episode, const Act& act) const {
    DarkPlane plane = make(task);
    Rng rng = Rng{options_.seed, random_stream}.fork(episode);
    plane.reset(rng);
    double total = 0;
    for (int t = 0; t < options_.horizon; ++t) {
      const float x = act(plane, 0, rng);
      const DarkPlane::Point action{x, act(plane, 1, rng)};
      total += static_cast<double>(plane.step(action, rng).reward);
    }
    return total;
  }

  DarkPlaneOptions options_;
};
static_assert(TaskFamily<DarkPlanes> && HasOracleReturn<DarkPlanes> && HasRandomReturn<DarkPlanes>);

}  // namespace icrl
