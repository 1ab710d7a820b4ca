// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/labeled_by.hpp>

#include <array>
#include <vector>

#include <icrl/env/dark_room.hpp>
#include <icrl/learner/dark_room_oracle.hpp>
#include <icrl/learner/random_learner.hpp>
#include <icrl/learner/run.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/histories.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("Labels are what the expert would do, and the learner acts as it would alone", "[learner]") {
  const DarkRoom room{{.side = 5, .horizon = 30}, {0, 3}};
  LabeledBy labeled{RandomPolicy{room.action_space()}, DarkRoomOracle{5, room.goal()}, room.action_space()};
  RandomPolicy alone{room.action_space()};
  const LearningHistory history = run(labeled, room, 4, Rng{2}, {.has_expert_action = true}),
                        plain = run(alone, room, 4, Rng{2});

  REQUIRE(history.info().has_expert_action);
  int toward = 0, away = 0;
  for (int e = 0; e < 4; ++e) {
    for (int t = 0; t < 30; ++t) {
      std::array<float, 1> taken{}, taken_alone{}, label{};
      history.episode(e).action(t, taken);
      plain.episode(e).action(t, taken_alone);
      CHECK(taken == taken_alone);
      history.episode(e).expert_action(t, label);
      std::array<float, 2> cell{};
      history.episode(e).observation(t, cell);
      const GridMoves moves{5};
      const int from = moves.cell_of(cell), goal = 3;
      const int left = moves.distance(moves.moved(from, static_cast<int>(label[0])), goal);
      (left < moves.distance(from, goal) || left == 0 ? toward : away)++;
    }
  }
  CHECK(toward == 120);
  CHECK(away == 0);
}

TEST_CASE("An expert of another room is refused", "[learner]") {
  const DarkRoom room{{.side = 5}, {0, 3}};
  LabeledBy labeled{RandomPolicy{room.action_space()}, DarkRoomOracle{4, {0, 3}}, room.action_space()};
  CHECK(has(error_of([&] { (void)run(labeled, room, 1, Rng{2}); }), "dark room oracle"));
}
