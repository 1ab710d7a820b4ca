// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/labeled_by.hpp>

#include <array>
#include <cstdlib>
#include <vector>

#include <icrl/env/dark_room.hpp>
#include <icrl/env/key_to_door.hpp>
#include <icrl/learner/dark_room_oracle.hpp>
#include <icrl/learner/key_to_door_oracle.hpp>
#include <icrl/learner/random_learner.hpp>
#include <icrl/learner/run.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/histories.hpp"
#include "support/tiny_environments.hpp"

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

TEST_CASE("An expert that has to know what happened hears of it", "[learner]") {
  // Cells left to right: the key in the second, the door in the fourth.
  const KeyToDoor room{{.side = 4, .horizon = 40}, {.key = {0, 1}, .door = {0, 3}}};
  LabeledBy labeled{RandomPolicy{room.action_space()}, KeyToDoorOracle{4, room.task()}, room.action_space()};
  const LearningHistory history = run(labeled, room, 30, Rng{2}, {.has_expert_action = true});
  int after_key = 0, toward_door = 0;
  const GridMoves moves{4};
  for (int e = 0; e < 30; ++e) {
    bool has_key = false;
    for (int t = 0; t < 40; ++t) {
      std::array<float, 2> cell{};
      std::array<float, 1> label{};
      history.episode(e).observation(t, cell);
      history.episode(e).expert_action(t, label);
      const int from = moves.cell_of(cell), left = moves.distance(moves.moved(from, static_cast<int>(label[0])), 3);
      if (has_key) {
        ++after_key;
        toward_door += left < moves.distance(from, 3) || left == 0 ? 1 : 0;
      }
      has_key = has_key || history.episode(e).reward(t) > 0;
    }
  }
  CHECK(after_key > 100);
  CHECK(toward_door == after_key);
}

TEST_CASE("A random expert's labels differ from step to step, and masks reach both", "[learner]") {
  const DarkRoom room{{.side = 5, .horizon = 1000}, {0, 3}};
  LabeledBy labeled{RandomPolicy{room.action_space()}, RandomPolicy{room.action_space()}, room.action_space()};
  const LearningHistory history = run(labeled, room, 1, Rng{2}, {.has_expert_action = true});
  std::array<int, 5> counts{};
  for (int t = 0; t < 1000; ++t) {
    std::array<float, 1> label{};
    history.episode(0).expert_action(t, label);
    ++counts[static_cast<std::size_t>(label[0])];
  }
  for (const int count : counts) CHECK(std::abs(count - 200) < 50);  // four standard deviations

  const TurnTaking env;
  LabeledBy masked{RandomPolicy{env.action_space()}, RandomPolicy{env.action_space()}, env.action_space()};
  const LearningHistory turns =
      run(masked, env, 20, Rng{1}, {.has_expert_action = true});  // throws for forbidden actions and labels
  CHECK(turns.episode_count() == 20);
}

TEST_CASE("An expert of another room is refused", "[learner]") {
  const DarkRoom room{{.side = 5}, {0, 3}};
  LabeledBy labeled{RandomPolicy{room.action_space()}, DarkRoomOracle{4, {0, 3}}, room.action_space()};
  CHECK(has(error_of([&] { (void)run(labeled, room, 1, Rng{2}); }), "dark room oracle"));
}
