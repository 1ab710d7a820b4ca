// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/watermaze_explorer.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include <icrl/env/dark_room.hpp>
#include <icrl/env/watermaze.hpp>
#include <icrl/learner/noisy_learner.hpp>
#include <icrl/learner/run.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// A small picture, because the explorer does not look at it.
constexpr WatermazeOptions blind{.height = 8, .width = 8};

}  // namespace

TEST_CASE("The water maze explorer finds every platform within ten episodes and then reaches it in each", "[learner]") {
  const Watermazes mazes{blind};
  for (const double noise : {0.0, 0.2}) {
    for (int task = 0; task < 40; ++task) {
      Rng rng{4, static_cast<std::uint64_t>(task)};
      const Watermaze maze = mazes.make(task);
      NoisyLearner learner{WatermazeExplorer{blind}, maze.action_space(), {noise, noise}, rng};

      const LearningHistory history = run(learner, maze, 20, rng);

      int first_found = 20;
      for (int e = 0; e < 20; ++e) {
        if (history.episode(e).terminated()) first_found = std::min(first_found, e);
        CHECK((e < 10 || history.episode(e).terminated()));
      }
      CHECK(first_found < 8);
    }
  }
}

TEST_CASE("The water maze explorer knows where it is, and never rules out the place nearest to the platform",
          "[learner]") {
  const Watermazes mazes{blind};
  for (int task = 0; task < 10; ++task) {
    Rng rng{9, static_cast<std::uint64_t>(task)};
    Watermaze maze = mazes.make(task);
    WatermazeExplorer explorer{blind};
    maze.reset(rng);
    for (int t = 0; t < 500; ++t) {
      const std::array<float, 1> action{static_cast<float>(rng.below(PoolMoves::action_count))};
      const StepResult result = maze.step(static_cast<int>(action[0]), rng);
      const PoolPose pose = maze.pose();
      explorer.learn(
          {.action = action, .reward = result.reward, .terminated = result.terminated, .truncated = result.truncated});
      if (result.terminated || result.truncated) {
        maze.reset(rng);
        CHECK(explorer.pose() == PoolPose{});
      } else {
        CHECK(explorer.pose() == pose);
      }
      double nearest = 1;
      for (const PlanePoint center : explorer.search().centers())
        nearest = std::min(nearest, distance(center, maze.platform()));
      CHECK(nearest < blind.radius / 8);
    }
  }
}

TEST_CASE("The water maze explorer refuses what it cannot know", "[learner]") {
  CHECK(error_of([] { WatermazeExplorer{{.random_heading = true}}; }) ==
        "watermaze explorer: random_heading is true, but it cannot know a heading that it has not chosen");
  CHECK(error_of([] { WatermazeExplorer{{.radius = 0.3, .move = 0.4}}; }) ==
        "watermaze explorer: radius is 0.3, it must be at least 0.321 to search with a move of 0.4");
  const WatermazeExplorer explorer{blind};
  CHECK_THROWS_AS(explorer.check_spaces(image_box(8, 9, 3), Discrete{8}), Error);
  CHECK_THROWS_AS(explorer.check_spaces(image_box(8, 8, 3), Discrete{5}), Error);
  CHECK_NOTHROW(explorer.check_spaces(image_box(8, 8, 3), Discrete{8}));
}

TEST_CASE("A water maze that pays nowhere is not the one that the explorer knows", "[learner]") {
  WatermazeExplorer explorer{{.radius = 0.3, .move = 0.3}};
  Rng rng{1};
  std::array<float, 1> action{};
  const auto search = [&] {
    for (int t = 0; t < 1000; ++t) {
      explorer.act({}, action, rng);
      explorer.learn({.action = action, .truncated = t % 50 == 49});
    }
  };
  CHECK(error_of(search) == "watermaze explorer: no place is left for the platform; this is not the maze it knows");
}
