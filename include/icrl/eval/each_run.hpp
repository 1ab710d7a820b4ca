// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <icrl/agent/in_context_agents.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/core/parallel.hpp>
#include <icrl/env/task_family.hpp>
#include <icrl/history/learning_history.hpp>
#include <icrl/learner/collect.hpp>
#include <icrl/learner/run.hpp>

namespace icrl {

/// How agents of a model, or other learners, are run on tasks.
struct EvaluationConfig {
  int runs = 16;           ///< independent runs per task
  int episodes = 50;       ///< per run; the agent remembers across them
  std::uint64_t seed = 0;  ///< of environments and agents; a run draws from (seed, task, run)
  int thread_count = 0;    ///< 0 = all cores
  int group_size = 32;     ///< agents computed in one pass; affects the speed but not the result
  int context_count = 2;   ///< contexts per agent, see StaggeredContexts
};

/// Throws Error for a value outside its range.
inline void validate(const EvaluationConfig& config) {
  const auto positive = [](const char* name, int value) {
    if (value < 1) fail("evaluation: {} is {}, it must be at least 1", name, value);
  };
  positive("runs", config.runs);
  positive("episodes", config.episodes);
  if (config.thread_count < 0) fail("evaluation: thread_count is {}, it must not be negative", config.thread_count);
  positive("group_size", config.group_size);
}

/// Runs fresh agents of a frozen model, with empty memories, on each task, and passes the history of each run to
/// `take(task, run, history)`; `task` is an index into `tasks`. For measures of your own; `evaluate` keeps the returns.
/// `take` is called on several threads at once; `progress(done, total)` counts runs and is called on this thread.
/// Errors of a run name its tasks.
template <TaskFamily F, Streaming M, typename Take>
void for_each_run(const M& model, const F& family, std::span<const int> tasks, const EvaluationConfig& config,
                  const Decoding& decoding, const Take& take, Progress progress = no_progress) {
  validate(config);
  check_tasks(family, tasks, "evaluation");
  const std::int64_t runs = std::int64_t{config.runs} * static_cast<std::int64_t>(tasks.size());
  constexpr int most_runs = std::numeric_limits<int>::max() / 2;
  if (runs > most_runs)
    fail("evaluation: {} tasks x {} runs are too many, at most {} runs in all are allowed", tasks.size(), config.runs,
         most_runs);
  const int total = static_cast<int>(runs), group_size = std::min(config.group_size, std::max(total, 1));
  const int group_count = (total + group_size - 1) / group_size;
  const auto run_one_group = [&](int group) {
    const int begin = group * group_size, end = std::min(begin + group_size, total);
    std::vector<EnvironmentOf<F>> envs;
    std::vector<Rng> rngs;
    for (int i = begin; i < end; ++i) {
      const int task = tasks[static_cast<std::size_t>(i / config.runs)];
      envs.push_back(family.make(task));
      rngs.push_back(
          Rng{config.seed, static_cast<std::uint64_t>(task)}.fork(static_cast<std::uint64_t>(i % config.runs)));
    }
    InContextAgents<M> agents{model, end - begin, decoding, config.context_count};
    std::vector<LearningHistory> histories;
    try {
      histories = run_group(agents, std::move(envs), config.episodes, std::span<const Rng>{rngs});
    } catch (const Error& error) {
      fail("evaluation: tasks {} to {} of the list: {}", begin / config.runs, (end - 1) / config.runs, error.what());
    }
    for (int i = begin; i < end; ++i)
      take(i / config.runs, i % config.runs, histories[static_cast<std::size_t>(i - begin)].view());
  };
  WorkerPool pool{threads_or_all(config.thread_count)};
  for (int begin = 0; begin < group_count; begin += pool.thread_count()) {
    const int count = std::min(pool.thread_count(), group_count - begin);
    pool.run(count, [&](int i, int) { run_one_group(begin + i); });
    progress(static_cast<std::size_t>(std::min((begin + count) * group_size, total)), static_cast<std::size_t>(total));
  }
}

/// The same for any other learner: `make_learner(task, env)` makes a fresh one for every run. `take` is called on this
/// thread.
template <TaskFamily F, typename MakeLearner, typename Take>
void for_each_learner_run(MakeLearner make_learner, const F& family, std::span<const int> tasks,
                          const EvaluationConfig& config, const Take& take) {
  using Env = decltype(family.make(0));
  using Made = decltype(detail::made_learner(make_learner, 0, std::declval<Env&>(), std::declval<const Rng&>()));
  static_assert(
      !GroupLearner<Made>,
      "the members of a group, such as A2C, learn together: record them by collect and average their returns");
  validate(config);
  int i = 0;
  const auto take_next = [&](LearningHistory&& history) {
    take(i / config.runs, i % config.runs, history.view());
    ++i;
  };
  detail::collect_each(family, tasks, make_learner,
                       {.histories_per_task = config.runs,
                        .episodes = config.episodes,
                        .seed = config.seed,
                        .thread_count = config.thread_count},
                       take_next, no_progress);
}

}  // namespace icrl
