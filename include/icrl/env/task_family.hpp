// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/env/environment.hpp>

namespace icrl {

/// `task_count()`: tasks are numbered 0 .. task_count() - 1.
template <typename F>
concept HasTaskCount = requires(const F& family) {
  { family.task_count() } -> std::convertible_to<int>;
};

/// `make(task)` returns the task's environment.
template <typename F>
concept MakesEnvironments = requires(const F& family, int task) {
  { family.make(task) } -> Environment;
};

namespace detail {

template <typename F, typename Task>
inline constexpr bool makes_with = requires(const F& family, Task task) {
  family.make(task);
};

}  // namespace detail

/// Its `make` takes the task as an int and not as a char, bool or float, to which many different tasks would convert
/// equally.
template <typename F>
concept MakeKeepsTasks = bool(!detail::makes_with<F, detail::LossyNumber> || detail::makes_with<F, detail::ExactInt>);

/// Many tasks of one kind. They differ in something that the agent has to find out.
template <typename F>
concept TaskFamily = HasTaskCount<F> && MakesEnvironments<F> && MakeKeepsTasks<F>;

/// Throws Error, which begins with `what`, if one of these is not a task of the family.
template <HasTaskCount F>
void check_tasks(const F& family, std::span<const int> tasks, std::string_view what) {
  for (const int task : tasks) {
    if (task < 0 || task >= family.task_count())
      fail("{}: task {} is not one of the family's {} tasks", what, task, family.task_count());
  }
}

/// The environment type of a family.
template <TaskFamily F>
using EnvironmentOf = decltype(std::declval<const F&>().make(0));

/// Optional: `oracle_return(task)`, the expected return per episode of a policy that knows the task.
template <typename F>
concept HasOracleReturn = requires(const F& family, int task) {
  { family.oracle_return(task) } -> std::convertible_to<double>;
};

/// Optional: `random_return(task)`, the expected return per episode of uniformly random actions.
template <typename F>
concept HasRandomReturn = requires(const F& family, int task) {
  { family.random_return(task) } -> std::convertible_to<double>;
};

/// The sizes of the parts of a split.
struct SplitConfig {
  int train = 0;           ///< tasks to train on
  int validation = 0;      ///< tasks to choose hyperparameters and checkpoints by
  int held_out = 0;        ///< tasks for the claim, which nothing before has seen
  std::uint64_t seed = 0;  ///< of the shuffle
};

/// Disjoint sets of task numbers.
struct TaskSplit {
  std::vector<int> train, validation, held_out;  ///< in the order in which they were dealt
};

/// Shuffles the tasks by the seed and deals them out, the held-out tasks first, so that these depend only on the seed
/// and on their number. Throws Error if there are too few tasks.
[[nodiscard]] inline TaskSplit split_tasks(int task_count, const SplitConfig& config) {
  if (config.train < 0 || config.validation < 0 || config.held_out < 0) {
    fail("task split: train is {}, validation is {}, held_out is {}; none may be negative", config.train,
         config.validation, config.held_out);
  }
  const std::int64_t wanted = std::int64_t{config.train} + config.validation + config.held_out;
  if (wanted > task_count) {
    fail("task split: {} train + {} validation + {} held-out tasks are requested, but the family has {}", config.train,
         config.validation, config.held_out, task_count);
  }
  std::vector<int> tasks(static_cast<std::size_t>(task_count));
  std::iota(tasks.begin(), tasks.end(), 0);
  Rng rng{config.seed, 0x73706c6974};
  for (int i = task_count - 1; i > 0; --i)
    std::swap(tasks[static_cast<std::size_t>(i)], tasks[static_cast<std::size_t>(rng.below(i + 1))]);
  auto next = tasks.begin();
  const auto deal = [&](int count) {
    const auto first = next;
    next += count;
    return std::vector<int>(first, next);
  };
  TaskSplit split;
  split.held_out = deal(config.held_out);
  split.validation = deal(config.validation);
  split.train = deal(config.train);
  return split;
}

}  // namespace icrl
