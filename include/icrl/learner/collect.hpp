// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/core/function_ref.hpp>
#include <icrl/core/parallel.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/task_family.hpp>
#include <icrl/history/history_file.hpp>
#include <icrl/history/learning_history.hpp>
#include <icrl/learner/learner.hpp>
#include <icrl/learner/run.hpp>

namespace icrl {

/// How many histories a source records, and of what length.
struct CollectConfig {
  int histories_per_task = 1;       ///< at least 0, a multiple of group_size
  int group_size = 1;               ///< histories recorded together by the members of one GroupLearner
  int episodes = 200;               ///< per history
  std::uint64_t seed = 0;           ///< with the task and the history's number, of everything random
  int thread_count = 0;             ///< 0 = all cores
  std::string algorithm{};          ///< name of the source, stored with each history
  bool with_expert_action = false;  ///< record expert actions; the learner must have expert_action
};

/// Throws Error for a value outside its range.
inline void validate(const CollectConfig& config) {
  if (config.histories_per_task < 0 || config.episodes < 0) {
    fail("collect: histories_per_task is {} and episodes is {}, neither may be negative", config.histories_per_task,
         config.episodes);
  }
  if (config.group_size < 1) fail("collect: group_size is {}, it must be at least 1", config.group_size);
  if (config.histories_per_task % config.group_size != 0) {
    fail("collect: {} histories per task cannot be recorded by whole groups of {} (make it a multiple of group_size)",
         config.histories_per_task, config.group_size);
  }
  if (config.thread_count < 0) fail("collect: thread_count is {}, it must not be negative", config.thread_count);
}

/// A callback for the progress of long work: `progress(done, total)`.
using Progress = FunctionRef<void(std::size_t, std::size_t)>;
/// The default callback, which does nothing.
inline constexpr auto no_progress = [](std::size_t, std::size_t) {};

namespace detail {

/// The part of collect_each that does not depend on the family or the learners, so that it is compiled once.
/// `live(number)` returns the histories of a group, of which the first is history `number`.
[[gnu::noinline]] inline void collect_batches(std::span<const int> tasks, const CollectConfig& config,
                                              FunctionRef<std::vector<LearningHistory>(std::size_t)> live,
                                              FunctionRef<void(LearningHistory&&)> take, Progress progress) {
  const auto per_task = static_cast<std::size_t>(config.histories_per_task),
             group_size = static_cast<std::size_t>(config.group_size);
  const std::size_t total = tasks.size() * per_task / group_size;
  WorkerPool pool{threads_or_all(config.thread_count)};
  const auto threads = static_cast<std::size_t>(pool.thread_count());
  const std::size_t batch = std::max(threads, threads * 16 / group_size);
  std::vector<std::vector<LearningHistory>> lived(std::min(batch, total));
  for (std::size_t begin = 0; begin < total; begin += batch) {
    const std::size_t count = std::min(batch, total - begin);
    std::exception_ptr failure;
    try {
      pool.run(static_cast<int>(count), [&](int i, int) {
        const std::size_t number = (begin + static_cast<std::size_t>(i)) * group_size;
        try {
          lived[static_cast<std::size_t>(i)] = live(number);
        } catch (const Error& error) {
          const std::size_t first = number % per_task;
          const std::string which = group_size == 1 ? fmt::format("history {}", first)
                                                    : fmt::format("histories {} to {}", first, first + group_size - 1);
          fail("collect: task {}, {}: {}", tasks[number / per_task], which, error.what());
        }
      });
    } catch (...) {
      failure = std::current_exception();  // earlier histories are kept
    }
    for (std::size_t i = 0; i < count && !lived[i].empty(); ++i) {
      for (LearningHistory& history : lived[i]) take(std::move(history));
      lived[i].clear();
    }
    if (failure) std::rethrow_exception(failure);
    progress((begin + count) * group_size, total * group_size);
  }
}

/// A fresh learner for one history, or for the histories of one group. A maker that takes a generator gets a separate
/// stream, so it affects neither the environment nor the actions of the learner.
template <typename MakeLearner, Environment E>
[[nodiscard]] auto made_learner(MakeLearner& make_learner, int task, E& env, const Rng& history_rng) {
  static_assert(std::invocable<MakeLearner&, int, E&, Rng&> || std::invocable<MakeLearner&, int, E&>,
                "a maker of learners takes (int task, const Environment&) or (int task, const Environment&, Rng&)");
  if constexpr (std::invocable<MakeLearner&, int, E&, Rng&>) {
    Rng rng = history_rng.fork(2);  // run() uses 0 and 1
    return make_learner(task, env, rng);
  } else {
    return make_learner(task, env);
  }
}

/// Records all histories in batches, on all threads, and passes them to `take(history)` in order: by task, then by
/// history. A history depends only on the seed, its task and its number.
template <TaskFamily F, typename MakeLearner>
void collect_each(const F& family, std::span<const int> tasks, MakeLearner& make_learner, const CollectConfig& config,
                  FunctionRef<void(LearningHistory&&)> take, Progress progress) {
  validate(config);
  check_tasks(family, tasks, "collect");
  const auto per_task = static_cast<std::size_t>(config.histories_per_task);
  const auto live = [&](std::size_t number) {
    const int task = tasks[number / per_task];
    const HistoryInfo info{.task = task,
                           .algorithm = config.algorithm,
                           .seed = config.seed,
                           .has_expert_action = config.with_expert_action};
    std::vector<Rng> rngs;
    for (int i = 0; i < config.group_size; ++i) {
      rngs.push_back(
          Rng{config.seed, static_cast<std::uint64_t>(task)}.fork(number % per_task + static_cast<std::size_t>(i)));
    }
    auto env = family.make(task);
    auto learner = made_learner(make_learner, task, env, rngs.front());
    static_assert(Learner<decltype(learner)> || GroupLearner<decltype(learner)>,
                  "a maker of learners returns a Learner (it acts and learns) or a GroupLearner");
    if constexpr (GroupLearner<decltype(learner)>) {
      if (learner.member_count() != config.group_size)
        fail("the maker returns a group of {} learners, but group_size is {}", learner.member_count(),
             config.group_size);
      std::vector<decltype(env)> envs(rngs.size(), env);
      return run_group(learner, std::move(envs), config.episodes, rngs, std::vector<HistoryInfo>(rngs.size(), info));
    } else {
      if (config.group_size != 1)
        fail("group_size is {}, but the maker returns a single learner, not a GroupLearner", config.group_size);
      std::vector<LearningHistory> histories;
      histories.push_back(run(learner, std::move(env), config.episodes, rngs.front(), info));
      return histories;
    }
  };
  collect_batches(tasks, config, live, take, progress);
}

}  // namespace detail

/// Records `histories_per_task` histories per task on all threads, each with a fresh learner from `make_learner(task,
/// env)`. The maker may also take a generator, `make_learner(task, env, rng)`, for anything drawn once per history,
/// such as the initial weights of a network. The order and contents do not depend on the number of threads.
/// `progress(done, total)` is called on this thread.
///
/// A maker may also return a GroupLearner with `group_size` members. They act in copies of `env` in lockstep, and the
/// stream of each member is one history. Histories 0 .. group_size - 1 of a task belong to the first group.
template <TaskFamily F, typename MakeLearner>
[[nodiscard]] std::vector<LearningHistory> collect(const F& family, std::span<const int> tasks,
                                                   MakeLearner make_learner, const CollectConfig& config,
                                                   Progress progress = no_progress) {
  std::vector<LearningHistory> histories;
  const auto take = [&](LearningHistory&& history) { histories.push_back(std::move(history)); };
  detail::collect_each(family, tasks, make_learner, config, take, progress);
  return histories;
}

/// Records into a file; memory use does not grow with the number of histories. If one history fails, those before it
/// are kept.
template <TaskFamily F, typename MakeLearner>
void collect_to(HistoryWriter& writer, const F& family, std::span<const int> tasks, MakeLearner make_learner,
                const CollectConfig& config, Progress progress = no_progress) {
  const auto take = [&](LearningHistory&& history) { writer.append(history.view()); };
  detail::collect_each(family, tasks, make_learner, config, take, progress);
  writer.sync();
}

}  // namespace icrl
