// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/eval/evaluate.hpp>

#include <vector>

#include <icrl/env/dark_room.hpp>
#include <icrl/eval/comparison.hpp>
#include <icrl/learner/dark_room_oracle.hpp>
#include <icrl/learner/q_learning.hpp>
#include <icrl/learner/random_learner.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_model.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

const DarkRooms rooms{{.side = 5, .horizon = 8}};
const std::vector<int> tasks{0, 7, 12, 24};

CausalTransformer<float> room_model() {
  const DarkRoom room = rooms.make(0);
  return small_model({.width = 16, .layer_count = 1, .head_count = 2, .context = 24},
                     {.observation_space = room.observation_space(), .action_space = room.action_space()});
}

std::vector<double> all_returns(const LearningCurves& curves) {
  std::vector<double> all;
  for (int task = 0; task < curves.task_count(); ++task)
    for (int run = 0; run < curves.run_count(); ++run)
      all.insert(all.end(), curves.returns(task, run).begin(), curves.returns(task, run).end());
  return all;
}

}  // namespace

TEST_CASE("The oracle earns the oracle's return and random actions theirs", "[eval]") {
  const auto oracle = evaluate_learner(
      [](int, const DarkRoom& room) {
        return DarkRoomOracle{5, room.goal()};
      },
      rooms, tasks, {.runs = 2, .episodes = 3, .thread_count = 2});
  const auto random = evaluate_learner([](int, const DarkRoom& room) { return RandomPolicy{room.action_space()}; },
                                       rooms, tasks, {.runs = 200, .episodes = 10, .thread_count = 2});

  const ReferenceReturns references = reference_returns(rooms, tasks);
  CHECK(oracle.mean_by_task(1, 3) == references.oracle);
  const auto found = random.mean_by_task(1, 10);
  for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == Approx(references.random[i]).margin(0.1));
}

TEST_CASE("A fresh learner lives every life", "[eval]") {
  int made = 0;
  const auto curves = evaluate_learner(
      [&](int, const DarkRoom& room) {
        ++made;
        return QLearning{{.episodes = 5}, room.observation_space(), room.action_space()};
      },
      rooms, tasks, {.runs = 3, .episodes = 5, .thread_count = 1});

  CHECK(made == 12);
  CHECK(curves.episode_count() == 5);
}

TEST_CASE("What agents earn depends neither on threads nor on the size of their group", "[eval]") {
  const auto model = room_model();
  EvaluationConfig config{.runs = 3, .episodes = 4, .seed = 5, .thread_count = 1, .group_size = 1};
  const auto alone = all_returns(evaluate(model, rooms, tasks, config));

  config.thread_count = 2;
  config.group_size = 5;
  const auto together = all_returns(evaluate(model, rooms, tasks, config));

  CHECK(alone == together);
  config.seed = 6;
  CHECK(all_returns(evaluate(model, rooms, tasks, config)) != together);
}

TEST_CASE("Progress counts all lives and no weight changes", "[eval]") {
  const auto model = room_model();
  const std::uint32_t weights = weights_checksum(model);
  std::vector<std::size_t> done;

  const auto curves = evaluate(model, rooms, tasks, {.runs = 2, .episodes = 1, .thread_count = 2, .group_size = 3}, {},
                               [&](std::size_t lives, std::size_t total) {
                                 done.push_back(lives);
                                 CHECK(total == 8);
                               });

  CHECK(done == std::vector<std::size_t>{6, 8});
  CHECK(weights_checksum(model) == weights);
  CHECK(curves.task_count() == 4);
}

TEST_CASE("An evaluation without lives is an error", "[eval]") {
  const auto model = room_model();
  CHECK_THROWS_AS(evaluate(model, rooms, tasks, {.runs = 0}), Error);
  CHECK_THROWS_AS(evaluate(model, rooms, tasks, {.episodes = 0}), Error);
  CHECK_THROWS_AS(evaluate(model, rooms, tasks, {.thread_count = -1}), Error);
  CHECK_THROWS_AS(evaluate(model, rooms, tasks, {.group_size = 0}), Error);
  CHECK_THROWS_AS(evaluate(model, rooms, tasks, {}, {.temperature = -1}), Error);
}
