// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/ppo.hpp>

#include <algorithm>
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

/// Pays the more the nearer two numbers are to 0.4 and -0.2.
struct TwoDials {
  [[nodiscard]] Space observation_space() const { return Box{{-1}, {1}}; }
  [[nodiscard]] Space action_space() const { return Box{{-2, -2}, {2, 2}}; }
  void reset(Rng&) {}
  void observe(std::span<float> out) const { out[0] = 0.5f; }
  StepResult step(std::span<const float> action, Rng&) {
    const float x = action[0] - 0.4f, y = action[1] + 0.2f;
    return {-(x * x + y * y), true, false};
  }
};

template <typename E>
Ppo make_ppo(const PpoConfig& config, const E& env, std::uint64_t seed = 1) {
  Rng rng{seed};
  return Ppo{config, env.observation_space(), env.action_space(), rng};
}

template <typename E>
std::vector<LearningHistory> run_ppo(Ppo& actors, const E& env, int episodes) {
  std::vector<Rng> rngs;
  for (int i = 0; i < actors.member_count(); ++i) rngs.emplace_back(std::uint64_t{1}, static_cast<std::uint64_t>(i));
  return run_group(actors, std::vector<E>(rngs.size(), env), episodes, rngs);
}

double mean_return_of_all(const std::vector<LearningHistory>& histories, int first, int count) {
  double total = 0;
  for (const LearningHistory& history : histories) total += mean_return(history.view(), first, count);
  return total / static_cast<double>(histories.size());
}

}  // namespace

TEST_CASE("PPO's clipped advantage is the derivative of its objective", "[learner]") {
  const double clip = 0.2;
  const auto objective = [&](double log_ratio, double advantage) {
    const double ratio = std::exp(log_ratio);
    return std::min(ratio * advantage, std::clamp(ratio, 1 - clip, 1 + clip) * advantage);
  };
  for (const double advantage : {-2.0, -0.5, 0.0, 0.7, 3.0}) {
    for (const double ratio : {0.3, 0.79, 0.81, 1.0, 1.19, 1.21, 2.5}) {
      const double at = std::log(ratio), h = 1e-6;
      const double slope = (objective(at + h, advantage) - objective(at - h, advantage)) / (2 * h);
      CHECK(clipped_advantage(ratio, advantage, clip) == Approx(slope).margin(1e-8));
    }
  }
}

TEST_CASE("PPO finds a corridor's end and goes straight there", "[learner]") {
  const Corridor corridor{.cells = 6, .horizon = 12};
  Ppo actors = make_ppo({.actor_count = 8, .rollout_length = 32, .optimizer = {.learning_rate = 0.01}}, corridor);

  const auto histories = run_ppo(actors, corridor, 100);

  CHECK(mean_return_of_all(histories, 0, 5) < 0.9);
  CHECK(mean_return_of_all(histories, 90, 10) > 0.98);
  double steps = 0;
  for (const LearningHistory& history : histories)
    for (int e = 90; e < 100; ++e) steps += history.episode(e).length();
  CHECK(steps / 80 < 5.5);  // 5 is the shortest
}

TEST_CASE("PPO learns a goal of a Dark Room, with the same bytes on any number of threads", "[learner]") {
  const DarkRooms rooms{{.side = 5, .horizon = 10}};
  const auto make = [](int, const DarkRoom& room, Rng& rng) {
    return Ppo{{.actor_count = 8, .rollout_length = 20}, room.observation_space(), room.action_space(), rng};
  };
  const auto collected = [&](int threads) {
    return collect(rooms, std::array{3, 20}, make,
                   {.histories_per_task = 8, .group_size = 8, .episodes = 120, .thread_count = threads});
  };

  const auto histories = collected(1), on_threads = collected(2);

  const std::vector<LearningHistory> first(histories.begin(), histories.begin() + 8);
  const std::vector<LearningHistory> second(histories.begin() + 8, histories.end());
  CHECK(mean_return_of_all(first, 0, 5) < 0.5 * rooms.oracle_return(3));
  CHECK(mean_return_of_all(first, 100, 20) > 0.9 * rooms.oracle_return(3));
  CHECK(mean_return_of_all(second, 100, 20) > 0.9 * rooms.oracle_return(20));
  for (std::size_t i = 0; i < 16; ++i) CHECK(bytes_of(on_threads[i].view()) == bytes_of(histories[i].view()));
}

TEST_CASE("PPO learns actions of two numbers", "[learner]") {
  const TwoDials env;
  Ppo actors = make_ppo({.actor_count = 8, .entropy_weight = 0, .optimizer = {.learning_rate = 0.01}}, env);

  const auto histories = run_ppo(actors, env, 2000);

  CHECK(mean_return_of_all(histories, 0, 20) < -1);
  CHECK(mean_return_of_all(histories, 1900, 100) > -0.1);
}

TEST_CASE("PPO takes its steps in minibatches and several passes, and clips", "[learner]") {
  const TwoDials env;
  // 2 actors x 10 episodes of one step are 20 rows: 3 minibatches per pass, the last of 4.
  Ppo actors = make_ppo({.actor_count = 2, .rollout_length = 10, .epochs = 5, .minibatch = 8, .clip = 0}, env);

  (void)run_ppo(actors, env, 10);
  CHECK(actors.update_count() == 0);
  (void)run_ppo(actors, env, 11);
  CHECK(actors.update_count() == 30);
  CHECK(actors.clipped_fraction() > 0.2);  // all that has moved, and the first minibatch has not
  CHECK(actors.clipped_fraction() < 1);
}

TEST_CASE("PPO learns from minibatches of one step", "[learner]") {
  const TwoDials env;
  Ppo actors =
      make_ppo({.actor_count = 8, .minibatch = 1, .entropy_weight = 0, .optimizer = {.learning_rate = 1e-3}}, env);

  const auto histories = run_ppo(actors, env, 500);

  CHECK(mean_return_of_all(histories, 0, 20) < -1);
  CHECK(mean_return_of_all(histories, 450, 50) > -0.5);
}

TEST_CASE("PPO keeps to what a mask allows", "[learner]") {
  const TurnTaking env;
  Ppo actors = make_ppo({.actor_count = 4, .rollout_length = 5}, env);

  const auto histories = run_ppo(actors, env, 50);  // throws where a forbidden action is taken

  CHECK(mean_return_of_all(histories, 0, 50) == 6);
  CHECK(actors.update_count() > 0);
}

TEST_CASE("PPO refuses other spaces and values out of their range", "[learner]") {
  const Corridor corridor;
  const auto refusal = [&](const PpoConfig& config) { return error_of([&] { (void)make_ppo(config, corridor); }); };

  CHECK(refusal({}).empty());
  CHECK(refusal({.actor_count = 0}) == "PPO: actor_count is 0, it must lie in 1 .. 1048576");
  CHECK(has(refusal({.rollout_length = 0}), "rollout_length is 0"));
  CHECK(has(refusal({.epochs = 0}), "epochs is 0"));
  CHECK(has(refusal({.minibatch = 0}), "minibatch is 0"));
  CHECK(has(refusal({.discount = 1.5}), "discount is 1.5"));
  CHECK(has(refusal({.lambda = std::numeric_limits<double>::quiet_NaN()}), "lambda is nan"));
  CHECK(has(refusal({.clip = -1}), "clip is -1"));
  CHECK(has(refusal({.entropy_weight = -1}), "entropy_weight is -1"));
  CHECK(has(refusal({.value_weight = -1}), "value_weight is -1"));
  Ppo actors = make_ppo({.actor_count = 1}, corridor);
  CHECK(has(error_of([&] { (void)run_ppo(actors, Corridor{.cells = 5}, 1); }), "PPO: its observation space"));
}

TEST_CASE("PPO learns actions at and between narrow bounds", "[learner]") {
  for (const float best : {0.0f, 0.7f, 1.0f}) {
    CAPTURE(best);
    const NarrowDial env{best};
    Ppo actors = make_ppo({.actor_count = 16, .rollout_length = 64}, env);

    const auto histories = run_ppo(actors, env, 6000);

    CHECK(mean_return_of_all(histories, 0, 50) < 0.75);
    CHECK(mean_return_of_all(histories, 5900, 100) > 0.9);
  }
}
