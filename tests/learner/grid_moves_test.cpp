// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/grid_moves.hpp>

#include <array>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("The move model moves as the dark room does", "[learner]") {
  const GridMoves moves{5};
  Rng rng{1};
  DarkRoom room{{.side = 5, .horizon = 1000}, {0, 0}};
  room.reset(rng);
  std::array<float, 2> observation;
  room.observe(observation);
  for (int t = 0; t < 500; ++t) {
    const int action = rng.below(moves.action_count());
    const int expected = moves.moved(moves.cell_of(observation), action);
    room.step(action, rng);
    room.observe(observation);
    REQUIRE(moves.cell_of(observation) == expected);
  }
}

TEST_CASE("Distances are those that moves take", "[learner]") {
  const GridMoves moves{4};
  for (int from = 0; from < moves.cell_count(); ++from) {
    std::vector<int> steps(16, 99);
    steps[static_cast<std::size_t>(from)] = 0;
    for (int round = 0; round < 16; ++round)
      for (int cell = 0; cell < 16; ++cell)
        for (int action = 0; action < 5; ++action) {
          int& to = steps[static_cast<std::size_t>(moves.moved(cell, action))];
          to = std::min(to, steps[static_cast<std::size_t>(cell)] + 1);
        }
    for (int to = 0; to < 16; ++to) CHECK(moves.distance(from, to) == steps[static_cast<std::size_t>(to)]);
  }
}

TEST_CASE("Each step towards a cell comes nearer, along any shortest way", "[learner]") {
  const GridMoves moves{6};
  Rng rng{2};
  for (int from = 0; from < 36; ++from)
    for (int to = 0; to < 36; ++to) {
      const int next = moves.moved(from, action_towards(moves, from, to, rng));
      CHECK(moves.distance(next, to) == std::max(0, moves.distance(from, to) - 1));
    }
  std::array<int, 5> hits{};
  for (int i = 0; i < 1000; ++i) ++hits[static_cast<std::size_t>(action_towards(moves, 0, 35, rng))];
  CHECK((hits[2] > 400 && hits[3] > 400));
}

TEST_CASE("Grid moves have the spaces of a Dark Room and none of its impossible sides", "[learner]") {
  const DarkRoom room{{.side = 7}, {0, 0}};

  CHECK(GridMoves{7}.observation_space() == room.observation_space());
  CHECK(GridMoves{7}.action_space() == room.action_space());
  CHECK(GridMoves{46340}.cell_count() == 46340 * 46340);
  CHECK(has(error_of([] { (void)GridMoves{46341}; }), "side is 46341 cells, it must lie in 1 .. 46340"));
  CHECK(has(error_of([] { (void)GridMoves{0}; }), "side is 0 cells"));
}
