// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/dqn.hpp>

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include <icrl/env/dark_room.hpp>
#include <icrl/history/curate.hpp>
#include <icrl/learner/collect.hpp>
#include <icrl/learner/run.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/histories.hpp"
#include "support/tiny_environments.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

template <typename E>
Dqn make_dqn(const DqnConfig& config, const E& env, std::uint64_t seed = 1) {
  Rng rng{seed};
  return Dqn{config, env.observation_space(), env.action_space(), rng};
}

/// An episode of one step that pays 1 and ends as it is told to.
struct SingleStep {
  bool terminates = false;

  [[nodiscard]] Space observation_space() const { return Discrete{1}; }
  [[nodiscard]] Space action_space() const { return Discrete{2}; }
  void reset(Rng&) {}
  void observe(std::span<float> out) const { out[0] = 0; }
  StepResult step(int, Rng&) { return {1.0f, terminates, !terminates}; }
};

double highest_value(const Dqn& dqn, Index inputs) {
  Mlp<float>::Cache cache;
  Matrix<float> values(1, dqn.network().output_size());
  const Matrix<float> x = Matrix<float>::Ones(1, inputs);
  dqn.network().forward(x, cache, values);
  return static_cast<double>(values.maxCoeff());
}

}  // namespace

TEST_CASE("DQN finds a corridor's end and goes straight there", "[learner]") {
  const Corridor corridor{.cells = 6, .horizon = 12};
  for (const bool double_q : {false, true}) {
    Dqn dqn = make_dqn({.double_q = double_q, .noise = {.episodes = 100}}, corridor);
    const LearningHistory history = run(dqn, corridor, 150, Rng{1});
    CHECK(mean_return(history.view(), 140, 10) == 1);
    for (int e = 140; e < 150; ++e) CHECK(history.episode(e).length() == 5);
  }
}

TEST_CASE("DQN learns the goals of a Dark Room", "[learner]") {
  const DarkRooms rooms{{.side = 5, .horizon = 10}};
  const auto make = [](int, const DarkRoom& room, Rng& rng) {
    return Dqn{{.noise = {.episodes = 150}}, room.observation_space(), room.action_space(), rng};
  };
  const auto collected = [&](int threads) {
    return collect(rooms, std::array{3, 20}, make, {.episodes = 200, .thread_count = threads});
  };
  const auto histories = collected(1), on_threads = collected(2);
  for (std::size_t i = 0; i < 2; ++i) {
    const double oracle = rooms.oracle_return(i == 0 ? 3 : 20);
    CHECK(mean_return(histories[i].view(), 0, 5) < 0.5 * oracle);
    CHECK(mean_return(histories[i].view(), 180, 20) > 0.9 * oracle);
    CHECK(bytes_of(on_threads[i].view()) == bytes_of(histories[i].view()));
  }
}

TEST_CASE("DQN's value counts what follows a truncation and not what follows a termination", "[learner]") {
  const auto learned_value = [&](bool terminates) {
    const SingleStep env{terminates};
    Dqn dqn = make_dqn({.replay = {.steps = 1, .discount = 0.5}, .target_every = 10}, env);
    (void)run(dqn, env, 3000, Rng{1});
    return highest_value(dqn, 1);
  };
  CHECK(learned_value(true) == Approx(1).margin(0.02));
  CHECK(learned_value(false) == Approx(2).margin(0.05));
}

TEST_CASE("DQN keeps to what a mask allows", "[learner]") {
  const TurnTaking env;
  Dqn dqn = make_dqn({.learning_start = 10, .noise = {.episodes = 20}}, env);
  const LearningHistory history = run(dqn, env, 50, Rng{1});  // throws where a forbidden action is taken
  CHECK(mean_return(history.view(), 0, 50) == 6);
  CHECK(dqn.update_count() > 0);
}

TEST_CASE("DQN refuses a mask that allows nothing", "[learner]") {
  const SingleStep env;
  Dqn dqn = make_dqn({.noise = {.start = 0}}, env);
  const std::array<float, 1> observation{0};
  const std::array<std::uint8_t, 2> none{0, 0};
  std::array<float, 1> action{};
  Rng rng{1};
  CHECK(error_of([&] { dqn.act(observation, none, action, rng); }) ==
        "DQN: an action mask allows none of the 2 actions");
}

TEST_CASE("DQN learns when it is told to", "[learner]") {
  const SingleStep env;
  Dqn dqn = make_dqn({.replay = {.steps = 1}, .learning_start = 10, .update_every = 4}, env);
  (void)run(dqn, env, 9, Rng{1});
  CHECK(dqn.update_count() == 0);
  (void)run(dqn, env, 4, Rng{1});
  CHECK(dqn.update_count() == 1);
  (void)run(dqn, env, 8, Rng{1});
  CHECK(dqn.update_count() == 3);
}

TEST_CASE("DQN refuses other spaces and values out of their range", "[learner]") {
  const Corridor corridor;
  const auto refusal = [&](const DqnConfig& config) { return error_of([&] { (void)make_dqn(config, corridor); }); };

  CHECK(refusal({}).empty());
  CHECK(refusal({.batch = 0}) == "DQN: batch is 0, it must be at least 1");
  CHECK(has(refusal({.learning_start = 0}), "learning_start is 0"));
  CHECK(has(refusal({.update_every = 0}), "update_every is 0"));
  CHECK(has(refusal({.target_every = 0}), "target_every is 0"));
  CHECK(has(refusal({.replay = {.capacity = 10}}), "learning_start is 64"));
  CHECK(has(refusal({.replay = {.discount = -1}}), "discount is -1"));
  CHECK(has(refusal({.noise = {.start = 2}}), "start is 2"));
  Rng rng{1};
  CHECK(has(error_of([&] { (void)Dqn({}, Discrete{2}, Box{{-1}, {1}}, rng); }), "DQN: actions must be Discrete"));
  Dqn dqn = make_dqn({}, corridor);
  CHECK(has(error_of([&] { (void)run(dqn, Corridor{.cells = 5}, 1, Rng{1}); }), "DQN: its observation space"));
}
