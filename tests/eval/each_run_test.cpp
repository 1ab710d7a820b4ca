// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/eval/each_run.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/env/dark_room.hpp>
#include <icrl/eval/evaluate.hpp>
#include <icrl/eval/learning_curves.hpp>
#include <icrl/learner/collect.hpp>
#include <icrl/learner/random_learner.hpp>
#include <icrl/learner/run.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_model.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

const DarkRooms each_run_rooms{{.side = 3, .horizon = 6}};
const std::vector<int> each_run_tasks{8, 0, 4};

bool same_returns(const LearningCurves& one, const LearningCurves& other) {
  for (int task = 0; task < one.task_count(); ++task)
    for (int run = 0; run < one.run_count(); ++run)
      if (!std::ranges::equal(one.returns(task, run), other.returns(task, run))) return false;
  return true;
}

}  // namespace

TEST_CASE("The histories of runs are those of agents that run alone", "[eval]") {
  const DarkRoom room = each_run_rooms.make(0);
  const auto model = small_model({.width = 16, .layer_count = 1, .head_count = 2, .context = 24},
                                 {.observation_space = room.observation_space(), .action_space = room.action_space()});
  for (const int group_size : {2, 32}) {
    const EvaluationConfig config{.runs = 3, .episodes = 4, .seed = 5, .thread_count = 2, .group_size = group_size};
    LearningCurves found{each_run_tasks, 3, 4};

    for_each_run(model, each_run_rooms, each_run_tasks, config, {.temperature = 2},
                 [&](int task, int run, const HistoryView& history) { set_returns(found, task, run, history); });

    LearningCurves alone{each_run_tasks, 3, 4};
    for (int i = 0; i < 3; ++i) {
      const int task = each_run_tasks[static_cast<std::size_t>(i)];
      for (int r = 0; r < 3; ++r) {
        InContextAgent agent{model, {.temperature = 2}};
        const Rng rng = Rng{5, static_cast<std::uint64_t>(task)}.fork(static_cast<std::uint64_t>(r));
        const LearningHistory history = run(agent, each_run_rooms.make(task), 4, rng);
        set_returns(alone, i, r, history.view());
      }
    }
    CHECK(same_returns(found, alone));
    CHECK(same_returns(found, evaluate(model, each_run_rooms, each_run_tasks, config, {.temperature = 2})));
  }
}

TEST_CASE("The histories of a learner's runs are those that collect records", "[eval]") {
  const EvaluationConfig config{.runs = 2, .episodes = 5, .seed = 7, .thread_count = 2};
  const auto make = [](int, const DarkRoom& room) { return RandomPolicy{room.action_space()}; };
  LearningCurves found{each_run_tasks, 2, 5};

  for_each_learner_run(make, each_run_rooms, each_run_tasks, config,
                       [&](int task, int run, const HistoryView& history) { set_returns(found, task, run, history); });

  const auto histories =
      collect(each_run_rooms, each_run_tasks, make, {.histories_per_task = 2, .episodes = 5, .seed = 7});
  LearningCurves collected{each_run_tasks, 2, 5};
  for (int i = 0; i < 6; ++i) set_returns(collected, i / 2, i % 2, histories[static_cast<std::size_t>(i)].view());
  CHECK(same_returns(found, collected));
  CHECK(same_returns(found, evaluate_learner(make, each_run_rooms, each_run_tasks, config)));
}

TEST_CASE("Runs of tasks that the family lacks are refused", "[eval]") {
  const auto make = [](int, const DarkRoom& room) { return RandomPolicy{room.action_space()}; };
  CHECK(has(error_of([&] {
              for_each_learner_run(make, each_run_rooms, std::vector{9}, {.runs = 1},
                                   [](int, int, const HistoryView&) {});
            }),
            "task 9 is not one of the family's 9 tasks"));
}
