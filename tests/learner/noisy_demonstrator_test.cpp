// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/noisy_demonstrator.hpp>

#include <array>
#include <cmath>
#include <vector>

#include <icrl/history/curate.hpp>
#include <icrl/learner/dark_room_oracle.hpp>
#include <icrl/learner/run.hpp>

#include "support/catch.hpp"
#include "support/histories.hpp"
#include "support/special_numbers.hpp"
#include "support/tiny_environments.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

struct Rightwards {
  int* learned = nullptr;
  void act(std::span<const float>, std::span<float> action, Rng&) { action[0] = 1; }
  void learn(const Transition&) {
    if (learned != nullptr) ++*learned;
  }
};

}  // namespace

TEST_CASE("The share of random actions follows the schedule", "[learner]") {
  NoisyDemonstrator<Rightwards> learner{
      {}, Discrete{2}, {.noise = {.start = 0.8, .end = 0.2, .anneal_share = 1, .episodes = 2}}};
  Rng rng{1};
  std::array<float, 1> action, expert;
  for (const double share : {0.8, 0.5, 0.2}) {
    int others = 0;
    for (int t = 0; t < 20000; ++t) {
      learner.act(std::array{0.0f}, action, rng);
      learner.expert_action(expert);
      REQUIRE(expert[0] == 1);
      others += action[0] == 0;  // half of the random actions
    }
    CHECK(others / 20000.0 == Approx(share / 2).margin(0.02));
    learner.learn({.truncated = true});
  }
}

TEST_CASE("Without noise the demonstrator is left alone", "[learner]") {
  NoisyDemonstrator<Rightwards> learner{{}, Discrete{2}, {.noise = {.start = 0}}};

  const LearningHistory history = run(learner, Corridor{.cells = 5, .horizon = 9}, 3, Rng{1});

  CHECK(history.step_count() == 12);
}

TEST_CASE("Noise is held for the asked number of steps and ends with the episode", "[learner]") {
  const Space box = Box{{-1}, {1}};
  NoisyDemonstrator<Rightwards> learner{{}, box, {.noise = {.start = 1, .end = 1}, .hold_steps = 4}};
  Rng rng{1};
  const auto acts = [&](int count) {
    std::vector<float> actions;
    for (int t = 0; t < count; ++t) {
      std::array<float, 1> action;
      learner.act(std::array{0.0f}, action, rng);
      actions.push_back(action[0]);
    }
    return actions;
  };

  const auto first = acts(6);
  CHECK((first[0] == first[1] && first[0] == first[3] && first[3] != first[4] && first[4] == first[5]));
  learner.learn({.terminated = true});
  const auto second = acts(5);
  CHECK((second[0] != first[5] && second[0] == second[3] && second[3] != second[4]));
}

TEST_CASE("A noisy oracle's returns rise from random to perfect", "[learner]") {
  const DarkRooms rooms;
  double early = 0, late = 0, ceiling = 0;
  for (int task = 0; task < rooms.task_count(); ++task) {
    const DarkRoom room = rooms.make(task);
    NoisyDemonstrator<DarkRoomOracle> learner{{9, room.goal()}, room.action_space(), {.noise = {.episodes = 40}}};
    const LearningHistory history = run(learner, room, 40, Rng{7, static_cast<std::uint64_t>(task)});
    early += mean_return(history.view(), 0, 3) / 81;
    late += mean_return(history.view(), 36, 4) / 81;
    ceiling += rooms.oracle_return(task) / 81;
  }

  CHECK(early < 1.5);
  CHECK(late == Approx(ceiling));
}

TEST_CASE("A demonstrator that learns goes on learning", "[learner]") {
  int learned = 0;
  NoisyDemonstrator<Rightwards> learner{{&learned}, Discrete{2}, {}};

  learner.learn({});

  CHECK(learned == 1);
  CHECK(Learner<NoisyDemonstrator<Rightwards>>);
}

TEST_CASE("Jitter spreads a box's actions by its share of their range, and never leaves it", "[learner]") {
  struct Still {
    void act(std::span<const float>, std::span<float> action, Rng&) { action[0] = 0.5f; }
  };
  const NoisyDemonstratorConfig config{.noise = {.start = 0}, .jitter = 0.1};
  NoisyDemonstrator learner{Still{}, Box{{-1}, {1}}, config};
  Rng rng{4};
  std::array<float, 1> action{};
  double sum = 0, squares = 0;
  constexpr int draws = 4000;

  for (int i = 0; i < draws; ++i) {
    learner.act({}, action, rng);
    REQUIRE(std::abs(action[0]) <= 1);
    sum += static_cast<double>(action[0]);
    squares += static_cast<double>(action[0]) * static_cast<double>(action[0]);
  }

  const double mean = sum / draws, deviation = std::sqrt(squares / draws - mean * mean);
  CHECK(mean == Approx(0.5).margin(0.02));
  CHECK(deviation == Approx(0.2).margin(0.02));
  CHECK_THROWS_AS((NoisyDemonstrator{Still{}, Box{{-infinity}, {infinity}}, config}), Error);
  CHECK_THROWS_AS(validate(NoisyDemonstratorConfig{.jitter = -0.1}), Error);
  CHECK_THROWS_AS(validate(NoisyDemonstratorConfig{.hold_steps = 0}), Error);
}

TEST_CASE("A noisy demonstrator refuses other actions than its own and what its demonstrator refuses", "[learner]") {
  const NoisyDemonstrator<Rightwards> blind{{}, Box{{-1, -1}, {1, 1}}, {}};
  const NoisyDemonstrator<DarkRoomOracle> seeing{{9, {0, 0}}, Discrete{5}, {}};

  CHECK_NOTHROW(blind.check_spaces(Discrete{4}, Box{{-1, -1}, {1, 1}}));
  CHECK(has(error_of([&] { blind.check_spaces(Discrete{4}, Discrete{2}); }), "noisy demonstrator: its action space"));
  CHECK_NOTHROW(seeing.check_spaces(MultiDiscrete{{9, 9}}, Discrete{5}));
  CHECK(has(error_of([&] { seeing.check_spaces(MultiDiscrete{{9, 8}}, Discrete{5}); }), "dark room oracle: its"));
}
