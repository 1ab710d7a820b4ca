// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/watermaze.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include <icrl/env/check_environment.hpp>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

std::vector<float> view_of(const Watermaze& maze) {
  std::vector<float> out(static_cast<std::size_t>(value_count(maze.observation_space())));
  maze.observe(out);
  return out;
}

/// Steps to the platform by the move towards it; 0 if the horizon comes first.
int steps_to_platform(Watermaze maze) {
  const PoolMoves moves{maze.options()};
  Rng rng{0};
  maze.reset(rng);
  for (int t = 1;; ++t) {
    const StepResult result = maze.step(moves.move_towards(maze.pose(), maze.platform()), rng);
    if (result.terminated) return t;
    if (result.truncated) return 0;
  }
}

}  // namespace

TEST_CASE("A water maze pays once, for the step onto the platform, which ends the episode", "[env]") {
  Rng rng{0};
  Watermaze maze{{.horizon = 17, .radius = 0.12, .move = 0.1}, {0.4, 0}};
  maze.reset(rng);
  for (int i = 0; i < 2; ++i) {
    const StepResult result = maze.step(PoolMoves::forward, rng);
    CHECK((result.reward == 0 && !result.terminated && !result.truncated));
  }
  const StepResult last = maze.step(PoolMoves::forward, rng);  // 0.3 is within 0.12 of 0.4
  CHECK((last.reward == 1 && last.terminated && !last.truncated));

  maze.reset(rng);
  CHECK(maze.pose() == PoolPose{});
  StepResult result{};
  for (int i = 0; i < 17; ++i) {
    CHECK_FALSE(result.truncated);
    result = maze.step(PoolMoves::turn_left, rng);
  }
  CHECK((result.reward == 0 && !result.terminated && result.truncated));
}

TEST_CASE("The picture of a water maze depends on the pose alone, not on the platform", "[env]") {
  Rng rng{0};
  Watermaze one{{}, {0.5, 0.5}}, other{{}, {-0.5, 0.3}};
  for (Watermaze* maze : {&one, &other}) {
    maze->reset(rng);
    for (const int action : {0, 2, 4, 6, 1}) maze->step(action, rng);
  }
  CHECK(view_of(one) == view_of(other));
  one.step(PoolMoves::turn_left, rng);
  CHECK(view_of(one) != view_of(other));
  CHECK(one.observation_space() == Space{image_box(24, 32, 3)});
}

TEST_CASE("Whoever knows the platform of a water maze reaches it within the horizon, so the oracle's return is 1",
          "[env]") {
  // With the shortest horizons that are allowed.
  for (const WatermazeOptions& options :
       {WatermazeOptions{.horizon = 17}, WatermazeOptions{.horizon = 144, .radius = 0.05, .move = 0.01},
        WatermazeOptions{.horizon = 6, .radius = 0.3, .move = 0.4},
        WatermazeOptions{.horizon = 23, .radius = 0.05, .move = 0.07}}) {
    const Watermazes mazes{options};
    for (int task = 0; task < 1000; ++task) {
      CHECK(steps_to_platform(mazes.make(task)) > 0);
      CHECK(mazes.oracle_return(task) == 1);
    }
  }
}

TEST_CASE("Platforms of water mazes are uniform over the ring that they may lie in", "[env]") {
  const Watermazes mazes{{.seed = 5}};
  const double least = 0.24, most = 0.88;
  int inner = 0, upper = 0, right = 0;
  for (int task = 0; task < 4000; ++task) {
    const PlanePoint platform = mazes.make(task).platform();
    const double from_center = distance(platform, {});
    CHECK((from_center >= least && from_center <= most));
    inner += from_center * from_center < (least * least + most * most) / 2 ? 1 : 0;
    upper += platform.y > 0 ? 1 : 0;
    right += platform.x > 0 ? 1 : 0;
  }
  for (const int count : {inner, upper, right}) CHECK(count == Approx(2000).margin(130));  // 4 standard deviations
  CHECK(mazes.make(7).platform() == Watermazes{{.task_count = 8, .seed = 5}}.make(7).platform());
  CHECK(mazes.make(7).platform() != Watermazes{{.seed = 6}}.make(7).platform());
}

TEST_CASE("The random return of a water maze is that of random actions", "[env]") {
  const Watermazes mazes{};
  for (const int task : {0, 1, 5}) {
    Watermaze maze = mazes.make(task);
    int found = 0;
    constexpr int episodes = 20000;
    Rng rng{77, static_cast<std::uint64_t>(task)};
    for (int e = 0; e < episodes; ++e) {
      maze.reset(rng);
      StepResult result{};
      while (!result.terminated && !result.truncated) result = maze.step(rng.below(8), rng);
      found += static_cast<int>(result.reward);
    }
    CHECK(mazes.random_return(task) == Approx(found / double{episodes}).margin(0.03));
    CHECK(mazes.random_return(task) < 0.5);
  }
}

TEST_CASE("A random heading is one of all, and is drawn at every reset", "[env]") {
  Rng rng{3};
  Watermaze maze{{.headings = 8, .random_heading = true}, {0.5, 0}};
  std::set<int> headings;
  for (int i = 0; i < 100; ++i) {
    maze.reset(rng);
    headings.insert(maze.pose().heading);
  }
  CHECK(headings == std::set<int>{0, 1, 2, 3, 4, 5, 6, 7});
}

TEST_CASE("Water mazes keep the promises of an environment, and their steps allocate nothing", "[env]") {
  for (const bool random_heading : {false, true})
    CHECK(check_environment(Watermaze{{.random_heading = random_heading}, {0.5, 0.5}}).text() == "no problems found");
  Rng rng{0};
  Watermaze maze{{}, {0.5, 0.5}};
  std::vector<float> out = view_of(maze);
  maze.reset(rng);
  const AllocationCount allocations;
  for (int i = 0; i < 10; ++i) {
    maze.step(PoolMoves::backward, rng);
    maze.observe(out);
  }
  CHECK(allocations.count() == 0);
}

TEST_CASE("A platform outside the pool or at the start is refused", "[env]") {
  CHECK(error_of([] {
          Watermaze({}, {0.9, 0});
        }) == "watermaze: the platform (0.9, 0) is 0.9 from the center, it must be more than 0.12 and at most 0.88");
  CHECK_THROWS_AS(Watermaze({}, {0.1, 0}), Error);
  CHECK_THROWS_AS(Watermaze({}, {NAN, 0}), Error);
}
