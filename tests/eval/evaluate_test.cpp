// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/eval/evaluate.hpp>

#include <algorithm>
#include <limits>
#include <set>
#include <vector>

#include <icrl/agent/in_context_agent.hpp>
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

TEST_CASE("Every life is that of an agent alone in its task's environment, with a generator of its own", "[eval]") {
  const auto model = room_model();
  const EvaluationConfig config{.runs = 3, .episodes = 12, .seed = 5, .thread_count = 1};
  const Decoding decoding{.temperature = 0.7};
  const auto curves = evaluate(model, rooms, tasks, config, decoding);

  for (int t = 0; t < 4; ++t) {
    const int task = tasks[static_cast<std::size_t>(t)];
    for (int r = 0; r < config.runs; ++r) {
      InContextAgent agent{model, decoding};
      const LearningHistory life = run(agent, rooms.make(task), config.episodes,
                                       Rng{5, static_cast<std::uint64_t>(task)}.fork(static_cast<std::uint64_t>(r)));
      for (int e = 0; e < config.episodes; ++e)
        REQUIRE(curves.returns(t, r)[static_cast<std::size_t>(e)] == life.episode(e).total_reward());
    }
  }
  CHECK(std::set<double>(curves.returns(2, 0).begin(), curves.returns(2, 0).end()).size() > 1);
  CHECK_FALSE(std::ranges::equal(curves.returns(2, 0), curves.returns(2, 1)));
  CHECK(all_returns(evaluate(model, rooms, tasks, config, {.temperature = 0})) != all_returns(curves));
}

TEST_CASE("The number of an agent's contexts is its own affair", "[eval]") {
  const auto model = room_model();
  EvaluationConfig config{.runs = 2, .episodes = 30, .seed = 5, .thread_count = 1, .group_size = 3};
  const auto two = all_returns(evaluate(model, rooms, tasks, config));
  config.context_count = 3;
  CHECK(all_returns(evaluate(model, rooms, tasks, config)) != two);
}

TEST_CASE("A group as large as numbers go is as large as the lives are many", "[eval]") {
  const auto model = room_model();
  EvaluationConfig config{.runs = 2, .episodes = 3, .thread_count = 1};
  const auto expected = all_returns(evaluate(model, rooms, tasks, config));
  config.group_size = std::numeric_limits<int>::max();
  CHECK(all_returns(evaluate(model, rooms, tasks, config)) == expected);
}

TEST_CASE("Tasks that the family lacks are refused", "[eval]") {
  CHECK(has(error_of([] {
              (void)evaluate(room_model(), rooms, std::vector{3, 25}, {});
            }),
            "evaluation: task 25 is not one of the family's 25 tasks"));
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
