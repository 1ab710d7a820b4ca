// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/action_finder.hpp>

#include <algorithm>
#include <array>
#include <vector>

#include <icrl/core/rng.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;

namespace {

/// A cell in a room of `side` x `side`, where actions make the moves of `truth`.
struct Walk {
  int side;
  ActionPermutation truth;
  Cell cell;
  ActionFinder finder{side};
  std::vector<int> actions{};

  void take(int action) {
    const Cell to = DarkRoom::moved(cell, truth.move_of(action), side);
    finder.observe(cell, action, to);
    cell = to;
    actions.push_back(action);
  }
};

/// Steps until the finder is done; at most 100.
int steps_until_done(Walk walk) {
  int steps = 0;
  for (; steps < 100 && !walk.finder.is_done(); ++steps) walk.take(walk.finder.next_action(walk.cell));
  REQUIRE(walk.finder.is_done());
  REQUIRE(walk.finder.permutation() == walk.truth);
  return steps;
}

}  // namespace

TEST_CASE("Away from the walls it tries four actions in turn and infers the fifth", "[learner]") {
  for (int number = 0; number < ActionPermutation::count; ++number) {
    Walk walk{.side = 9, .truth = ActionPermutation{number}, .cell = {4, 4}};
    while (!walk.finder.is_done()) walk.take(walk.finder.next_action(walk.cell));

    REQUIRE(walk.actions == std::vector{0, 1, 2, 3});
    REQUIRE(walk.finder.permutation() == walk.truth);
  }
}

TEST_CASE("It finds out every permutation from every cell in at most eight steps", "[learner]") {
  for (const int side : {2, 3, 9}) {
    int longest = 0;
    for (int number = 0; number < ActionPermutation::count; ++number)
      for (int cell = 0; cell < side * side; ++cell)
        longest = std::max(longest, steps_until_done({side, ActionPermutation{number}, {cell / side, cell % side}}));
    INFO("side " << side);
    CHECK(longest == 8);
  }
}

TEST_CASE("In a corner it goes away from the walls to tell staying from a blocked move", "[learner]") {
  // Actions 0, 1, 2 stay, move up and move left: in the upper left corner none of them shows.
  Walk walk{.side = 5, .truth = ActionPermutation{ActionPermutation::Moves{0, 1, 4, 2, 3}}, .cell = {0, 0}};

  while (!walk.finder.is_done()) walk.take(walk.finder.next_action(walk.cell));

  // 3 moves right, so 4 moves down. Beside the corner left would show: neither 0 nor 1 does it, so 2 does. One row
  // further down, up would show.
  CHECK(walk.actions == std::vector{0, 1, 2, 3, 0, 1, 4, 0});
}

TEST_CASE("Random steps never lead it astray", "[learner]") {
  Rng rng{3};
  for (int life = 0; life < 300; ++life) {
    Walk walk{.side = 3, .truth = ActionPermutation{rng.below(120)}, .cell = {rng.below(3), rng.below(3)}};
    for (int t = 0; t < 60; ++t) {
      walk.take(rng.chance(0.5) ? rng.below(5) : walk.finder.next_action(walk.cell));
      if (walk.finder.is_done()) REQUIRE(walk.finder.permutation() == walk.truth);
    }
    REQUIRE(walk.finder.is_done());
  }
}

TEST_CASE("A step that no permutation explains is refused, and nothing is forgotten", "[learner]") {
  ActionFinder finder{9};
  finder.observe({4, 4}, 0, {3, 4});

  CHECK(test::has(test::error_of([&] {
                    finder.observe({4, 4}, 1, {6, 4});
                  }),
                  "action 1 led from (4, 4) to (6, 4), but no permutation of the five moves in 9 x 9 cells explains"));
  CHECK_FALSE(test::error_of([&] { finder.observe({4, 4}, 1, {3, 4}); }).empty());  // as action 0 does
  for (const int action : {1, 2, 3}) {
    constexpr std::array<Cell, 4> to{{{}, {4, 4}, {4, 5}, {5, 4}}};
    finder.observe({4, 4}, action, to[static_cast<std::size_t>(action)]);
  }
  CHECK(finder.permutation() == ActionPermutation{ActionPermutation::Moves{1, 0, 2, 3, 4}});
}
