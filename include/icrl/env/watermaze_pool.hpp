// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

#include <icrl/core/fail.hpp>
#include <icrl/env/plane_point.hpp>

namespace icrl {

/// What a family of water mazes is made with. Lengths are in radii of the pool.
struct WatermazeOptions {
  int height = 24, width = 32;  ///< pixels of the view; the paper has 72 x 96
  int horizon = 50;             ///< steps in an episode
  double radius = 0.12;         ///< of the platform
  double move = 0.1;            ///< length of a step
  int headings = 16;            ///< directions that can be faced, a multiple of 4; a turn is one of them
  bool random_heading = false;  ///< begin with a random heading; false: with heading 0
  int task_count = 4096;
  std::uint64_t seed = 0;  ///< a platform depends only on (seed, task)

  friend bool operator==(const WatermazeOptions&, const WatermazeOptions&) = default;
};

/// A swimmer comes no nearer to the wall of the pool, in radii of the pool.
inline constexpr double pool_wall_distance = 0.05;

/// Throws Error naming the first invalid value. With valid ones every platform can be reached within the horizon: moves
/// along the two axes of the view alone come within move / sqrt(2) of any place that a swimmer can reach.
inline void validate(const WatermazeOptions& options) {
  const auto check = [](const char* name, double value, double least, double most) {
    if (!(value >= least && value <= most))
      fail("watermaze: {} is {}, it must lie in {} .. {}", name, value, least, most);
  };
  check("height", options.height, 8, 128);
  check("width", options.width, 8, 128);
  check("move", options.move, 0.01, 0.4);
  check("radius", options.radius, std::max(options.move / std::numbers::sqrt2, pool_wall_distance), 0.3);
  check("horizon", options.horizon, std::ceil(std::numbers::sqrt2 / options.move) + 2, 1e6);
  check("headings", options.headings, 4, 360);
  if (options.headings % 4 != 0) fail("watermaze: headings is {}, it must be a multiple of 4", options.headings);
  if (options.task_count < 1) fail("watermaze: task_count is {}, it must be at least 1", options.task_count);
}

/// Where a swimmer is in the pool, whose center is (0, 0) and whose wall is the unit circle, and which way it looks.
struct PoolPose {
  PlanePoint position{};  ///< within the pool
  int heading = 0;        ///< 0 .. headings - 1, counter-clockwise from the positive x axis
  friend bool operator==(const PoolPose&, const PoolPose&) = default;
};

/// How a swimmer moves, apart from what it sees and is paid for.
class PoolMoves {
public:
  /// Those of Laskin et al. (2022): four moves, two turns, and two turns while moving forward.
  enum Action { forward, backward, left, right, turn_left, turn_right, forward_left, forward_right };
  static constexpr int action_count = 8;  ///< of the above

  /// Throws Error for an invalid option.
  explicit PoolMoves(const WatermazeOptions& options) : move_{options.move}, headings_{options.headings} {
    validate(options);
  }

  /// The angle of a heading in radians.
  [[nodiscard]] double angle(int heading) const { return 2 * std::numbers::pi * heading / headings_; }

  /// The pose after an action. A turn comes before the move that goes with it. At the wall the swimmer slides along.
  [[nodiscard]] PoolPose moved(PoolPose pose, int action) const {
    if (action == turn_left || action == forward_left) pose.heading = (pose.heading + 1) % headings_;
    if (action == turn_right || action == forward_right) pose.heading = (pose.heading + headings_ - 1) % headings_;
    if (action == turn_left || action == turn_right) return pose;
    // Quarter turns between where it looks and where it goes.
    const int quarters = action == left ? 1 : action == backward ? 2 : action == right ? 3 : 0;
    const double along = angle(pose.heading + quarters * headings_ / 4);
    PlanePoint& p = pose.position;
    p.x += move_ * std::cos(along);
    p.y += move_ * std::sin(along);
    const double from_center = distance(p, {}), most = 1 - pool_wall_distance;
    if (from_center > most) {
      p.x *= most / from_center;
      p.y *= most / from_center;
    }
    return pose;
  }

  /// The move without a turn that ends nearest to a place.
  [[nodiscard]] int move_towards(const PoolPose& pose, PlanePoint target) const {
    int best = forward;
    for (const int action : {backward, left, right})
      if (distance(moved(pose, action).position, target) < distance(moved(pose, best).position, target)) best = action;
    return best;
  }

private:
  double move_;
  int headings_;
};

}  // namespace icrl
