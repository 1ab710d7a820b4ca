// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/history/history_view.hpp>
#include <icrl/history/learning_history.hpp>

namespace icrl {

/// The return of every episode of several runs on several tasks.
class LearningCurves {
public:
  /// All returns are 0. Throws Error for a negative count or more than 2^33 returns.
  LearningCurves(std::vector<int> tasks, int run_count, int episode_count)
      : tasks_{std::move(tasks)}, run_count_{run_count}, episode_count_{episode_count} {
    if (run_count < 0 || episode_count < 0)
      fail("learning curves: there are {} runs and {} episodes, neither may be negative", run_count, episode_count);
    constexpr double most = 0x1p33;
    if (static_cast<double>(tasks_.size()) * run_count * episode_count > most) {
      fail("learning curves: {} tasks x {} runs x {} episodes are too many returns, at most {} are allowed",
           tasks_.size(), run_count, episode_count, most);
    }
    returns_.resize(tasks_.size() * static_cast<std::size_t>(run_count) * static_cast<std::size_t>(episode_count));
  }

  /// The number of each task in its family, in the order of the curves.
  [[nodiscard]] std::span<const int> tasks() const& { return tasks_; }
  std::span<const int> tasks() const&& = delete;
  /// Tasks, each with run_count() curves of episode_count() returns.
  [[nodiscard]] int task_count() const { return static_cast<int>(tasks_.size()); }
  /// Runs per task.
  [[nodiscard]] int run_count() const { return run_count_; }
  /// Episodes per run.
  [[nodiscard]] int episode_count() const { return episode_count_; }

  /// The returns of one run, episode by episode; `task` is an index into tasks().
  [[nodiscard]] std::span<double> returns(int task, int run) & {
    return std::span{returns_}.subspan(first(task, run), width());
  }
  /// The same to read only.
  [[nodiscard]] std::span<const double> returns(int task, int run) const& {
    return std::span{returns_}.subspan(first(task, run), width());
  }
  std::span<const double> returns(int task, int run) const&& = delete;

  /// Mean over all tasks and runs, for each episode. Throws Error if there are no tasks or runs.
  [[nodiscard]] std::vector<double> mean_by_episode() const {
    if (tasks_.empty() || run_count_ == 0)
      fail("learning curves: there are {} tasks and {} runs, a mean needs at least one of each", task_count(),
           run_count_);
    std::vector<double> means(width());
    for (std::size_t i = 0; i < returns_.size(); ++i) means[i % width()] += returns_[i];
    for (double& mean : means) mean /= static_cast<double>(task_count()) * run_count_;
    return means;
  }

  /// For each task, the mean over its runs and the episodes first .. last, counted from 1. Throws Error for episodes
  /// that the curves do not have, and if there are no runs.
  [[nodiscard]] std::vector<double> mean_by_task(int first_episode, int last_episode) const {
    check_episodes(first_episode, last_episode);
    if (run_count_ == 0 && !tasks_.empty()) fail("learning curves: there are no runs, a mean needs at least one");
    std::vector<double> means;
    for (int task = 0; task < task_count(); ++task) {
      double total = 0;
      for (int run = 0; run < run_count_; ++run) {
        for (int e = first_episode; e <= last_episode; ++e)
          total += returns(task, run)[static_cast<std::size_t>(e - 1)];
      }
      means.push_back(total / (static_cast<double>(run_count_) * (last_episode - first_episode + 1)));
    }
    return means;
  }

private:
  [[nodiscard]] std::size_t width() const { return static_cast<std::size_t>(episode_count_); }
  [[nodiscard]] std::size_t first(int task, int run) const {
    ICRL_ASSERT(task >= 0 && task < task_count() && run >= 0 && run < run_count_,
                "these curves have no such task or run");
    return (static_cast<std::size_t>(task) * static_cast<std::size_t>(run_count_) + static_cast<std::size_t>(run)) *
           width();
  }
  void check_episodes(int first, int last) const {
    if (first < 1 || last < first || last > episode_count_)
      fail("learning curves: episodes {} .. {} are requested, but there are only 1 .. {}", first, last, episode_count_);
  }

  std::vector<int> tasks_;
  int run_count_, episode_count_;
  std::vector<double> returns_;  // (task, run, episode)
};

/// Copies the returns of one run from its history. A longer history is cut; a shorter one is refused.
inline void set_returns(LearningCurves& curves, int task, int run, const HistoryView& history) {
  if (history.episode_count() < curves.episode_count())
    fail("learning curves: the history has {} episodes, but the curves have {}", history.episode_count(),
         curves.episode_count());
  const std::span<double> returns = curves.returns(task, run);
  for (int e = 0; e < curves.episode_count(); ++e)
    returns[static_cast<std::size_t>(e)] = history.episode(e).total_reward();
}

/// Joins two measurements on different tasks, for example on the held-out tasks of two seeds: the tasks of both, one
/// after the other.
[[nodiscard]] inline LearningCurves joined(const LearningCurves& one, const LearningCurves& other) {
  if (one.run_count() != other.run_count() || one.episode_count() != other.episode_count()) {
    fail("learning curves: {} runs of {} episodes cannot be joined with {} runs of {}", one.run_count(),
         one.episode_count(), other.run_count(), other.episode_count());
  }
  std::vector<int> tasks(one.tasks().begin(), one.tasks().end());
  tasks.insert(tasks.end(), other.tasks().begin(), other.tasks().end());
  LearningCurves both{std::move(tasks), one.run_count(), one.episode_count()};
  for (int task = 0; task < both.task_count(); ++task) {
    for (int run = 0; run < both.run_count(); ++run) {
      const bool is_first = task < one.task_count();
      const auto from = is_first ? one.returns(task, run) : other.returns(task - one.task_count(), run);
      std::copy(from.begin(), from.end(), both.returns(task, run).begin());
    }
  }
  return both;
}

}  // namespace icrl
