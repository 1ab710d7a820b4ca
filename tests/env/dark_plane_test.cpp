// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/dark_plane.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;

namespace {

using Point = DarkPlane::Point;

/// How far the target's disc lies from the nearest place that n steps can reach (negative: within reach).
double missing_after(int n, Point target, const DarkPlaneOptions& options) {
  double squares = 0;
  for (const float along : target) {
    const double left = std::max(0.0, std::abs(static_cast<double>(along)) - n * static_cast<double>(options.max_move));
    squares += left * left;
  }
  return std::sqrt(squares) - static_cast<double>(options.radius);
}

Point random_action(const DarkPlaneOptions& options, Rng& rng) {
  Point action{};
  sample(DarkPlane{options, {0, 0}}.action_space(), rng, action);
  return action;
}

}  // namespace

TEST_CASE("A Dark Plane's point moves by the action, clipped to the longest move and to the square", "[env]") {
  Rng rng{0};
  DarkPlane plane{{}, {1, 1}};
  plane.reset(rng);

  plane.step(Point{0.1f, -0.05f}, rng);
  CHECK(plane.position() == Point{0.1f, -0.05f});
  plane.step(Point{-9, 0.05f}, rng);
  CHECK(plane.position()[0] == Approx(-0.1f));
  CHECK(plane.position()[1] == Approx(0).margin(1e-7));
  for (int i = 0; i < 10; ++i) plane.step(Point{-1, std::numeric_limits<float>::infinity()}, rng);

  Point seen{};
  plane.observe(seen);
  CHECK(seen == Point{-1, 1});
}

TEST_CASE("A Dark Plane pays for each step that ends inside the disc, until the horizon", "[env]") {
  Rng rng{0};
  DarkPlane plane{{.horizon = 4, .radius = 0.15f, .max_move = 0.25f}, {0.5f, 0}};
  plane.reset(rng);

  CHECK(plane.step(Point{0.25f, 0}, rng).reward == 0);
  CHECK(plane.step(Point{0.125f, 0}, rng).reward == 1);
  CHECK(plane.step(Point{0, 0.125f}, rng).reward == 0);  // a corner of the disc's square is not in the disc
  const StepResult last = plane.step(Point{0.125f, 0}, rng);

  CHECK(last.reward == 1);
  CHECK(last.truncated);
  CHECK_FALSE(last.terminated);
  plane.reset(rng);
  CHECK(plane.position() == Point{0, 0});
}

TEST_CASE("No play of a Dark Plane beats the oracle, which arrives as early as can be", "[env]") {
  for (const DarkPlaneOptions& options :
       {DarkPlaneOptions{}, DarkPlaneOptions{.horizon = 3}, DarkPlaneOptions{.radius = 0.05f, .max_move = 0.07f}}) {
    const DarkPlanes planes{options};
    for (int task = 0; task < 300; ++task) {
      const Point target = planes.make(task).target();
      int arrival = 1;
      while (missing_after(arrival, target, options) > 0) ++arrival;
      const bool is_close_call = std::abs(missing_after(arrival, target, options)) < 1e-5 ||
                                 std::abs(missing_after(arrival - 1, target, options)) < 1e-5;
      if (!is_close_call) CHECK(planes.oracle_return(task) == std::max(0, options.horizon - arrival + 1));
    }
  }
}

TEST_CASE("Best play of a Dark Plane, simulated, earns what the oracle is said to", "[env]") {
  const DarkPlanes planes;
  Rng rng{0};
  for (int task = 0; task < 200; ++task) {
    DarkPlane plane = planes.make(task);
    plane.reset(rng);
    double total = 0;
    for (bool over = false; !over;) {
      const auto [x, y] = plane.position();
      const StepResult result = plane.step(Point{plane.target()[0] - x, plane.target()[1] - y}, rng);
      total += static_cast<double>(result.reward);
      over = result.truncated;
    }
    CHECK(planes.oracle_return(task) == total);
  }
}

TEST_CASE("Random play of a Dark Plane earns what it is said to", "[env]") {
  const DarkPlanes planes;
  Rng rng{123};
  const int episodes = 4000;
  for (const int task : {0, 1, 2, 3}) {
    double sum = 0, squares = 0;
    for (int episode = 0; episode < episodes; ++episode) {
      DarkPlane plane = planes.make(task);
      plane.reset(rng);
      double total = 0;
      for (int t = 0; t < 30; ++t)
        total += static_cast<double>(plane.step(random_action(planes.options(), rng), rng).reward);
      sum += total / episodes;
      squares += total * total / episodes;
    }
    const double standard_error = std::sqrt((squares - sum * sum) / episodes);

    CHECK(std::abs(planes.random_return(task) - sum) < 5 * std::sqrt(2.0) * standard_error + 1e-9);
    CHECK(planes.random_return(task) == planes.random_return(task));
  }
}

TEST_CASE("Random play earns a small share of what the oracle earns", "[env]") {
  const DarkPlanes planes;
  double oracle = 0, random = 0;
  for (int task = 0; task < 100; ++task) {
    oracle += planes.oracle_return(task);
    random += planes.random_return(task);
  }

  CHECK(random / oracle < 0.08);
  CHECK(random / oracle > 0.01);
}

TEST_CASE("Targets are uniform in the square and functions of seed and task", "[env]") {
  const DarkPlanes planes{{.task_count = 4000, .seed = 5}};
  std::array<int, 16> counts{};
  for (int task = 0; task < planes.task_count(); ++task) {
    const auto [x, y] = planes.make(task).target();
    const auto quarter = [](float along) { return std::min(3, static_cast<int>((along + 1) * 2)); };
    ++counts[static_cast<std::size_t>(4 * quarter(x) + quarter(y))];
  }
  for (const int count : counts) CHECK(std::abs(count - 250) < 80);

  CHECK(DarkPlanes{{.task_count = 8, .seed = 5}}.make(7).target() == planes.make(7).target());
  CHECK(DarkPlanes{{.seed = 6}}.make(7).target() != planes.make(7).target());
  CHECK(planes.make(8).target() != planes.make(7).target());
}

TEST_CASE("A Dark Plane that cannot be, or an action that is no number, is refused", "[env]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto error_of_planes = [](const DarkPlaneOptions& options) {
    return test::error_of([&] { DarkPlanes{options}; });
  };
  CHECK(test::has(error_of_planes({.horizon = 0}), "horizon is 0 steps"));
  CHECK(test::has(error_of_planes({.radius = 0}), "radius is 0"));
  CHECK(test::has(error_of_planes({.radius = nan}), "radius is nan"));
  CHECK(test::has(error_of_planes({.max_move = -1}), "max_move is -1"));
  CHECK(test::has(error_of_planes({.task_count = 0}), "task_count is 0"));
  CHECK(test::has(test::error_of([] { DarkPlane{{}, {0, 1.5f}}; }), "the target (0, 1.5) lies outside"));
  CHECK(test::has(test::error_of([&] { DarkPlane{{}, {nan, 0}}; }), "lies outside"));

  Rng rng{0};
  DarkPlane plane{{}, {0, 0}};
  CHECK(test::error_of([&] { plane.step(Point{0, nan}, rng); }) == "dark plane: component 1 of the action is NaN");
}

TEST_CASE("Stepping and observing a Dark Plane allocates nothing", "[env]") {
  DarkPlane plane{{}, {0.5f, 0.5f}};
  Point seen{};
  Rng rng{0};

  const test::AllocationCount allocations;
  for (int i = 0; i < 1000; ++i) {
    const Point action{static_cast<float>(rng.uniform()) - 0.5f, static_cast<float>(rng.uniform()) - 0.5f};
    if (plane.step(action, rng).truncated) plane.reset(rng);
    plane.observe(seen);
  }

  CHECK(allocations.count() == 0);
}
