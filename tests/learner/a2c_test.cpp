// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/a2c.hpp>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include <icrl/env/dark_room.hpp>
#include <icrl/history/curate.hpp>
#include <icrl/learner/collect.hpp>
#include <icrl/learner/run.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/histories.hpp"
#include "support/narrow_dial.hpp"
#include "support/tiny_environments.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// Episodes of one step that pays 1 and ends as it is told to.
struct OneStep {
  bool terminates = false;

  [[nodiscard]] Space observation_space() const { return Discrete{1}; }
  [[nodiscard]] Space action_space() const { return Discrete{2}; }
  void reset(Rng&) {}
  void observe(std::span<float> out) const { out[0] = 0; }
  StepResult step(int, Rng&) { return {1.0f, terminates, !terminates}; }
};

/// Pays the more the nearer an action is to 0.4.
struct Dial {
  [[nodiscard]] Space observation_space() const { return Box{{-1}, {1}}; }
  [[nodiscard]] Space action_space() const { return Box{{-2}, {2}}; }
  void reset(Rng&) {}
  void observe(std::span<float> out) const { out[0] = 0.5f; }
  StepResult step(std::span<const float> action, Rng&) {
    return {-(action[0] - 0.4f) * (action[0] - 0.4f), true, false};
  }
};

template <typename E>
A2C make_a2c(const A2CConfig& config, const E& env, std::uint64_t seed = 1) {
  Rng rng{seed};
  return A2C{config, env.observation_space(), env.action_space(), rng};
}

template <typename E>
std::vector<LearningHistory> run_actors(A2C& actors, const E& env, int episodes, std::uint64_t seed = 1) {
  std::vector<Rng> rngs;
  for (int i = 0; i < actors.member_count(); ++i) rngs.emplace_back(seed, static_cast<std::uint64_t>(i));
  return run_group(actors, std::vector<E>(rngs.size(), env), episodes, rngs);
}

/// Mean return of all actors over `count` episodes from `first` on.
double mean_of(const std::vector<LearningHistory>& histories, int first, int count) {
  double total = 0;
  for (const LearningHistory& history : histories) total += mean_return(history.view(), first, count);
  return total / static_cast<double>(histories.size());
}

/// The critic's value of an observation of one id, or of one number.
double value_of(const A2C& actors, const Matrix<float>& x) {
  Mlp<float>::Cache cache;
  Matrix<float> value(1, 1);
  actors.network().value.forward(x, cache, value);
  return static_cast<double>(value(0, 0));
}

}  // namespace

TEST_CASE("Actors find a corridor's end and go straight there", "[learner]") {
  const Corridor corridor{.cells = 6, .horizon = 12};
  A2C actors = make_a2c({.actor_count = 8, .optimizer = {.learning_rate = 0.01}}, corridor);

  const auto histories = run_actors(actors, corridor, 100);

  const auto mean_length = [&](int first) {
    double steps = 0;
    for (const LearningHistory& history : histories)
      for (int e = first; e < first + 10; ++e) steps += history.episode(e).length();
    return steps / 80;
  };
  CHECK(mean_of(histories, 0, 5) < 0.9);
  CHECK(mean_of(histories, 90, 10) > 0.98);
  CHECK(mean_length(90) < 5.5);  // 5 is the shortest
}

TEST_CASE("Actors learn a goal of a Dark Room, and each one's stream is a history", "[learner]") {
  const DarkRooms rooms{{.side = 5, .horizon = 10}};
  const auto make = [](int, const DarkRoom& room, Rng& rng) {
    return A2C{{.actor_count = 8}, room.observation_space(), room.action_space(), rng};
  };
  const auto collected = [&](int threads) {
    return collect(rooms, std::array{3, 20}, make,
                   {.histories_per_task = 8, .group_size = 8, .episodes = 120, .thread_count = threads});
  };

  const auto histories = collected(1), on_threads = collected(2);

  REQUIRE(histories.size() == 16);
  const std::vector<LearningHistory> first(histories.begin(), histories.begin() + 8);
  const std::vector<LearningHistory> second(histories.begin() + 8, histories.end());
  CHECK(mean_of(first, 0, 5) < 0.5 * rooms.oracle_return(3));
  CHECK(mean_of(first, 100, 20) > 0.9 * rooms.oracle_return(3));
  CHECK(mean_of(second, 100, 20) > 0.9 * rooms.oracle_return(20));
  for (std::size_t i = 0; i < 16; ++i) CHECK(bytes_of(on_threads[i].view()) == bytes_of(histories[i].view()));
  CHECK(bytes_of(histories[0].view()) != bytes_of(histories[1].view()));
}

TEST_CASE("The same generators give the same histories and weights, others give others", "[learner]") {
  const Corridor corridor;
  A2C one = make_a2c({.actor_count = 3}, corridor), same = one, other = make_a2c({.actor_count = 3}, corridor, 2);

  const auto histories = run_actors(one, corridor, 20), again = run_actors(same, corridor, 20);
  (void)run_actors(other, corridor, 20);

  for (std::size_t i = 0; i < 3; ++i) CHECK(bytes_of(histories[i].view()) == bytes_of(again[i].view()));
  const auto distance = [](const A2C& a, const A2C& b) {
    return (a.network().policy.layers[0].weight - b.network().policy.layers[0].weight).norm();
  };
  CHECK(distance(one, same) == 0);
  CHECK(distance(one, other) > 0);
}

TEST_CASE("A value counts what follows a truncation and not what follows a termination", "[learner]") {
  const A2CConfig config{.actor_count = 4, .discount = 0.5, .optimizer = {.learning_rate = 0.01}};
  const auto learned_value = [&](const OneStep& env) {
    A2C actors = make_a2c(config, env);
    (void)run_actors(actors, env, 5000);
    return value_of(actors, Matrix<float>::Ones(1, 1));
  };

  CHECK(learned_value({.terminates = true}) == Approx(1).margin(0.02));
  CHECK(learned_value({.terminates = false}) == Approx(2).margin(0.05));
}

TEST_CASE("Actors learn after every rollout, from all transitions", "[learner]") {
  const OneStep env;
  A2C actors = make_a2c({.actor_count = 2, .rollout_length = 3}, env);
  const auto weights = actors.network().policy.layers[0].weight;

  (void)run_actors(actors, env, 3);
  CHECK(actors.update_count() == 0);
  CHECK((actors.network().policy.layers[0].weight - weights).norm() == 0);
  (void)run_actors(actors, env, 1);
  CHECK(actors.update_count() == 1);
  CHECK((actors.network().policy.layers[0].weight - weights).norm() > 0);
  CHECK(actors.loss().entropy == Approx(std::log(2.0)).epsilon(1e-3));
  (void)run_actors(actors, env, 6);
  CHECK(actors.update_count() == 3);
}

TEST_CASE("Actors keep to what a mask allows", "[learner]") {
  const TurnTaking env;
  A2C actors = make_a2c({.actor_count = 4}, env);

  const auto histories = run_actors(actors, env, 50);  // throws where a forbidden action is taken

  CHECK(mean_of(histories, 0, 50) == 6);
  CHECK(actors.update_count() == 59);
  CHECK(actors.loss().entropy < std::log(2.0) + 1e-6);  // two actions of four are allowed
}

TEST_CASE("Actors learn actions of numbers", "[learner]") {
  const Dial env;
  A2C actors = make_a2c({.actor_count = 8, .entropy_weight = 0, .optimizer = {.learning_rate = 0.01}}, env);

  const auto histories = run_actors(actors, env, 2000);

  CHECK(mean_of(histories, 0, 20) < -0.5);
  CHECK(mean_of(histories, 1900, 100) > -0.05);
}

TEST_CASE("Actors refuse other spaces and values out of their range", "[learner]") {
  const Corridor corridor;
  const auto refusal = [&](const A2CConfig& config) { return error_of([&] { (void)make_a2c(config, corridor); }); };

  CHECK(refusal({}).empty());
  CHECK(refusal({.actor_count = 0}) == "A2C: actor_count is 0, it must lie in 1 .. 1048576");
  CHECK(has(refusal({.rollout_length = 0}), "rollout_length is 0"));
  CHECK(has(refusal({.hidden = {0}}), "mlp: size 1 of 3 is 0"));
  CHECK(has(refusal({.discount = 1.5}), "discount is 1.5"));
  CHECK(has(refusal({.lambda = std::numeric_limits<double>::quiet_NaN()}), "lambda is nan"));
  CHECK(has(refusal({.entropy_weight = -1}), "entropy_weight is -1"));
  CHECK(has(refusal({.value_weight = -1}), "value_weight is -1"));
  CHECK(has(refusal({.optimizer = {.learning_rate = -1}}), "AdamW: learning_rate is -1"));
  A2C actors = make_a2c({.actor_count = 1}, corridor);
  CHECK(has(error_of([&] { (void)run_actors(actors, Corridor{.cells = 5}, 1); }), "A2C: its observation space"));
  Rng rng{1};
  CHECK(has(error_of([&] { const A2C none({}, Discrete{2}, Discrete{0}, rng); }), "A2C, actions: "));
}

TEST_CASE("A loss beyond all numbers is an error that leaves the weights as they were", "[learner]") {
  const Corridor corridor;
  A2C actors = make_a2c({.actor_count = 1, .rollout_length = 1, .value_weight = 1e6}, corridor);
  const auto weights = actors.network().value.layers[0].weight;
  std::array<float, 1> action{};
  Rng rng{1};
  const std::array<int, 1> members{0};
  const std::array<float, 1> observation{0};

  actors.act({members, observation, {}}, action, {&rng, 1});
  actors.learn(0, {.observation = observation,
                   .action = action,
                   .reward = std::numeric_limits<float>::max(),
                   .next_observation = observation});

  CHECK(has(error_of([&] { actors.act({members, observation, {}}, action, {&rng, 1}); }), "gradient of update 1"));
  CHECK((actors.network().value.layers[0].weight - weights).norm() == 0);
}

TEST_CASE("A2C learns actions at and between narrow bounds", "[learner]") {
  for (const float best : {0.0f, 0.7f, 1.0f}) {
    CAPTURE(best);
    const NarrowDial env{best};
    A2C actors = make_a2c({.actor_count = 16}, env);

    const auto histories = run_actors(actors, env, 6000);

    CHECK(mean_of(histories, 0, 5) < 0.75);
    CHECK(mean_of(histories, 5900, 100) > 0.9);
  }
}
