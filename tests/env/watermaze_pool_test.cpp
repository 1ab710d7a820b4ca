// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/watermaze_pool.hpp>

#include <cmath>
#include <limits>
#include <numbers>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

void check_pose(const PoolPose& pose, double x, double y, int heading) {
  CHECK(pose.position.x == Approx(x).margin(1e-12));
  CHECK(pose.position.y == Approx(y).margin(1e-12));
  CHECK(pose.heading == heading);
}

}  // namespace

TEST_CASE("Each of the eight actions moves and turns a swimmer as its name says", "[env]") {
  const PoolMoves moves{{.move = 0.1, .headings = 8}};
  const double half = 0.1 / std::numbers::sqrt2;

  check_pose(moves.moved({}, PoolMoves::forward), 0.1, 0, 0);
  check_pose(moves.moved({}, PoolMoves::backward), -0.1, 0, 0);
  check_pose(moves.moved({}, PoolMoves::left), 0, 0.1, 0);
  check_pose(moves.moved({}, PoolMoves::right), 0, -0.1, 0);
  check_pose(moves.moved({}, PoolMoves::turn_left), 0, 0, 1);
  check_pose(moves.moved({}, PoolMoves::turn_right), 0, 0, 7);
  check_pose(moves.moved({}, PoolMoves::forward_left), half, half, 1);
  check_pose(moves.moved({}, PoolMoves::forward_right), half, -half, 7);
  check_pose(moves.moved({{0.2, 0.3}, 2}, PoolMoves::left), 0.1, 0.3, 2);  // it looks along y, so left is against x
}

TEST_CASE("Turns go around and end where they began", "[env]") {
  const PoolMoves moves{{.headings = 12}};
  PoolPose pose{{0.3, -0.2}, 5};
  for (int i = 0; i < 12; ++i) pose = moves.moved(pose, PoolMoves::turn_left);
  CHECK(pose == PoolPose{{0.3, -0.2}, 5});
  for (int i = 0; i < 12; ++i) pose = moves.moved(pose, PoolMoves::turn_right);
  CHECK(pose == PoolPose{{0.3, -0.2}, 5});
}

TEST_CASE("At the wall of the pool a swimmer slides along", "[env]") {
  const PoolMoves moves{{.move = 0.1}};
  PoolPose pose{{0.9, 0.3}, 0};
  for (int i = 0; i < 5; ++i) {
    const double y = pose.position.y;
    pose = moves.moved(pose, PoolMoves::forward);
    CHECK(distance(pose.position, {}) == Approx(1 - pool_wall_distance));
    CHECK(std::abs(pose.position.y) < std::abs(y));
  }
}

TEST_CASE("The move towards a place is the best of the four without a turn", "[env]") {
  const PoolMoves moves{{.headings = 8}};
  CHECK(moves.move_towards({}, {0.5, 0.1}) == PoolMoves::forward);
  CHECK(moves.move_towards({}, {-0.5, 0.1}) == PoolMoves::backward);
  CHECK(moves.move_towards({}, {0.1, 0.5}) == PoolMoves::left);
  CHECK(moves.move_towards({}, {0.1, -0.5}) == PoolMoves::right);
  CHECK(moves.move_towards({{}, 2}, {0.5, 0.1}) == PoolMoves::right);
}

TEST_CASE("Water maze options outside their ranges are refused by name", "[env]") {
  using Limits = std::numeric_limits<double>;
  const auto error = [](const WatermazeOptions& options) { return error_of([&] { validate(options); }); };
  CHECK(error({.height = 7}) == "watermaze: height is 7, it must lie in 8 .. 128");
  CHECK(error({.width = 129}) == "watermaze: width is 129, it must lie in 8 .. 128");
  CHECK(error({.move = Limits::quiet_NaN()}) == "watermaze: move is nan, it must lie in 0.01 .. 0.4");
  CHECK(error({.radius = 0.06}).find("watermaze: radius is 0.06, it must lie in 0.07") == 0);
  CHECK(error({.radius = 0.04, .move = 0.02}) == "watermaze: radius is 0.04, it must lie in 0.05 .. 0.3");
  CHECK(error({.horizon = 16}) == "watermaze: horizon is 16, it must lie in 17 .. 1000000");
  CHECK(error({.headings = 18}) == "watermaze: headings is 18, it must be a multiple of 4");
  CHECK(error({.headings = 0}) == "watermaze: headings is 0, it must lie in 4 .. 360");
  CHECK(error({.task_count = 0}) == "watermaze: task_count is 0, it must be at least 1");
}
