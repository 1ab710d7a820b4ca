// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/sweeper.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <set>
#include <vector>

#include <icrl/env/dark_room.hpp>
#include <icrl/learner/noisy_learner.hpp>
#include <icrl/learner/run.hpp>

#include "support/catch.hpp"
#include "support/histories.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

std::set<int> cells_in(const SweepPlan& plan) {
  std::set<int> cells;
  for (const auto& walk : plan) cells.insert(walk.begin(), walk.end());
  return cells;
}

}  // namespace

TEST_CASE("Sweeps are walks of one episode that cover each cell within reach", "[learner]") {
  struct Room {
    int side, steps, start;
  };
  for (const Room room : {Room{17, 20, 8 * 17 + 8}, Room{9, 20, 40}, Room{10, 100, 0}, Room{9, 5, 40}, Room{2, 1, 3}}) {
    CAPTURE(room.side, room.steps, room.start);
    const GridMoves moves{room.side};
    const SweepPlan plan = plan_sweeps(moves, {.start = room.start, .steps = room.steps});
    for (const auto& walk : plan) {
      REQUIRE(!walk.empty());
      REQUIRE(walk.size() <= static_cast<std::size_t>(room.steps));
      int at = room.start;
      for (const int cell : walk) {
        REQUIRE(moves.distance(at, cell) <= 1);
        at = cell;
      }
    }
    const std::set<int> cells = cells_in(plan);
    for (int cell = 0; cell < moves.cell_count(); ++cell) {
      const bool in_reach = moves.distance(room.start, cell) <= room.steps;
      REQUIRE(cells.contains(cell) == in_reach);
    }
    REQUIRE(plan == plan_sweeps(moves, {.start = room.start, .steps = room.steps}));
  }
}

TEST_CASE("A narrow beam takes more walks, but covers everything", "[learner]") {
  const SweepPlan plan = plan_sweeps(GridMoves{9}, {.start = 40, .steps = 20, .beam = 1, .distance_power = 0});
  REQUIRE(cells_in(plan).size() == 81);
  REQUIRE(plan.size() > plan_sweeps(GridMoves{9}, {.start = 40, .steps = 20}).size());
}

TEST_CASE("17 sweeps cover the large room, and one cell is entered by staying", "[learner]") {
  // No fewer than 289 / 20 are possible.
  REQUIRE(plan_sweeps(GridMoves{17}, {.start = 8 * 17 + 8, .steps = 20}).size() == 17);
  REQUIRE(plan_sweeps(GridMoves{1}, {}) == SweepPlan{{0}});
  REQUIRE(plan_sweeps(GridMoves{1}, {.steps = 3}) == SweepPlan{{0}});
  REQUIRE(plan_sweeps(GridMoves{5}, {.start = 12, .steps = 65536}).size() == 1);  // long after all are covered
}

TEST_CASE("A sweeper finds every goal in one round and then goes straight to it", "[learner]") {
  const DarkRooms rooms{{.side = 9, .horizon = 20, .reward_once = true}};
  const SweepPlan plan = plan_sweeps(GridMoves{9}, {.start = 40, .steps = 20});
  const int round = static_cast<int>(plan.size());
  for (int task = 0; task < rooms.task_count(); ++task) {
    Sweeper sweeper{GridMoves{9}, plan};
    const LearningHistory history = run(sweeper, rooms.make(task), round + 2, Rng{1});
    double found = 0;
    for (int e = 0; e < round; ++e) found = std::max(found, static_cast<double>(history.episode(e).total_reward()));
    REQUIRE(found == 1);
    for (int e = round; e < round + 2; ++e) {
      const auto episode = history.episode(e);
      REQUIRE(episode.total_reward() == 1);
      // At the last step of a shortest path, or at the first one where it starts on the goal.
      const int distance = GridMoves{9}.distance(40, task);
      REQUIRE(episode.reward(std::max(0, distance - 1)) == 1);
    }
  }
}

TEST_CASE("A sweeper off its walk returns to the walk's next cell", "[learner]") {
  Sweeper sweeper{GridMoves{9}, {{41, 42, 43}, {39}}};
  Rng rng{1};
  const auto act = [&](float row, float column) {
    float action = -1;
    const float cell[] = {row, column};
    sweeper.act(cell, std::span{&action, 1}, rng);
    return static_cast<int>(action);
  };
  const auto arrive = [&](float row, float column, bool ends = false) {
    const float cell[] = {row, column};
    sweeper.learn({.next_observation = cell, .truncated = ends});
  };
  REQUIRE(act(4, 4) == DarkRoom::right);
  arrive(3, 4);  // noise led it up
  REQUIRE(act(3, 4) == DarkRoom::right);
  arrive(3, 5);
  REQUIRE(act(3, 5) == DarkRoom::down);
  arrive(4, 5);
  REQUIRE(act(4, 5) == DarkRoom::right);
  arrive(4, 6);
  arrive(4, 7);
  REQUIRE(act(4, 7) == DarkRoom::stay);  // at the end of the walk
  arrive(4, 7, true);
  REQUIRE(act(4, 4) == DarkRoom::left);  // the second walk
  arrive(4, 3, true);
  REQUIRE(act(4, 4) == DarkRoom::right);  // the first one again
}

TEST_CASE("Sweeps and plans outside their range are refused", "[learner]") {
  const GridMoves moves{3};
  REQUIRE_THROWS_AS(plan_sweeps(moves, {.start = 9}), Error);
  REQUIRE_THROWS_AS(plan_sweeps(moves, {.start = -1}), Error);
  REQUIRE_THROWS_AS(plan_sweeps(moves, {.steps = 0}), Error);
  REQUIRE_THROWS_AS(plan_sweeps(moves, {.steps = 65537}), Error);
  REQUIRE_THROWS_AS(plan_sweeps(moves, {.beam = 0}), Error);
  REQUIRE_THROWS_AS(plan_sweeps(moves, {.distance_power = -1}), Error);
  REQUIRE_THROWS_AS(plan_sweeps(moves, {.distance_power = std::numeric_limits<double>::quiet_NaN()}), Error);
  REQUIRE_THROWS_AS((Sweeper{moves, {}}), Error);
  REQUIRE_THROWS_AS((Sweeper{moves, {{}}}), Error);
  REQUIRE_THROWS_AS((Sweeper{moves, {{9}}}), Error);
}
