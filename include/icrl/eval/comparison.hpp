// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/env/task_family.hpp>
#include <icrl/eval/learning_curves.hpp>
#include <icrl/eval/plot.hpp>
#include <icrl/eval/statistics.hpp>

namespace icrl {

/// Reference returns on each of some tasks: the expected return of a policy that knows the task, and of random actions.
struct ReferenceReturns {
  std::vector<double> oracle, random;  ///< per task; random is empty if the family has no random_return
};

/// The reference returns of these tasks, in their order. Throws Error for a task that the family does not have.
template <TaskFamily F>
requires HasOracleReturn<F>
[[nodiscard]] ReferenceReturns reference_returns(const F& family, std::span<const int> tasks) {
  check_tasks(family, tasks, "reference returns");
  ReferenceReturns references;
  for (const int task : tasks) {
    references.oracle.push_back(family.oracle_return(task));
    if constexpr (HasRandomReturn<F>) references.random.push_back(family.random_return(task));
  }
  return references;
}

namespace detail {

/// Nothing compares with NaN: a threshold that is NaN would be missed by all, silently.
inline void check_threshold(double value, std::string_view what) {
  if (std::isnan(value)) fail("{} is nan, it must be a number", what);
}

/// Throws Error unless there are reference returns for each of the curves' tasks.
inline void check_references(const LearningCurves& curves, const ReferenceReturns& references, bool with_random) {
  const auto tasks = static_cast<std::size_t>(curves.task_count());
  if (references.oracle.size() == tasks && (!with_random || references.random.size() == tasks)) return;
  fail("comparison: the curves have {} tasks, but there are oracle returns for {} and random returns for {}", tasks,
       references.oracle.size(), references.random.size());
}

/// If an oracle return is not positive, shares of it order learners wrongly: half of a return of -10 is better than all
/// of it.
inline void check_positive_oracles(const LearningCurves& curves, const ReferenceReturns& references) {
  check_references(curves, references, false);
  for (std::size_t i = 0; i < references.oracle.size(); ++i) {
    if (references.oracle[i] > 0 && std::isfinite(references.oracle[i])) continue;
    fail(
        "comparison: the oracle of task {} earns {}, but a share of the oracle needs a positive return (if returns "
        "are costs, use the normalized scores: normalized_by_task, estimate_normalized_score, "
        "unlearned_tasks_by_score)",
        curves.tasks()[i], references.oracle[i]);
  }
}

}  // namespace detail

/// Mean return over the episodes first .. last divided by the mean oracle return of the same tasks. Here and below,
/// episodes are counted from 1. Like all functions that compute shares, throws Error if an oracle return is not above
/// 0.
[[nodiscard]] inline double share_of_oracle(const LearningCurves& curves, const ReferenceReturns& references, int first,
                                            int last) {
  detail::check_positive_oracles(curves, references);
  return mean(curves.mean_by_task(first, last)) / mean(references.oracle);
}

/// The same with a confidence interval over tasks: tasks are resampled together with their oracle returns.
[[nodiscard]] inline Estimate estimate_share_of_oracle(const LearningCurves& curves, const ReferenceReturns& references,
                                                       int first, int last, const BootstrapConfig& config = {}) {
  detail::check_positive_oracles(curves, references);
  const std::vector<double> returns = curves.mean_by_task(first, last);
  std::vector<double> tasks(returns.size());
  std::iota(tasks.begin(), tasks.end(), 0.0);
  const auto share = [&](std::span<const double> drawn) {
    double earned = 0, possible = 0;
    for (const double task : drawn) {
      earned += returns[static_cast<std::size_t>(task)];
      possible += references.oracle[static_cast<std::size_t>(task)];
    }
    return earned / possible;
  };
  return {share(tasks), bootstrap_interval(tasks, share, config)};
}

/// For each task, the mean return over the episodes on a scale from 0 (random actions) to 1 (the oracle). Correct for
/// returns of any sign. Throws Error if the oracle does not earn more than random actions.
[[nodiscard]] inline std::vector<double> normalized_by_task(const LearningCurves& curves,
                                                            const ReferenceReturns& references, int first, int last) {
  detail::check_references(curves, references, true);
  std::vector<double> scores = curves.mean_by_task(first, last);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const double floor = references.random[i], height = references.oracle[i] - floor;
    if (!(height > 0) || !std::isfinite(height)) {
      fail(
          "comparison: the oracle of task {} earns {} and random actions earn {}, "
          "but a normalized score needs an oracle that earns more",
          curves.tasks()[i], references.oracle[i], floor);
    }
    scores[i] = (scores[i] - floor) / height;
  }
  return scores;
}

/// The mean of the normalized scores with a confidence interval over tasks.
[[nodiscard]] inline Estimate estimate_normalized_score(const LearningCurves& curves,
                                                        const ReferenceReturns& references, int first, int last,
                                                        const BootstrapConfig& config = {}) {
  return estimate_mean(normalized_by_task(curves, references, first, last), config);
}

/// Tasks on which the mean return over the episodes does not exceed `share` of the oracle's. A mean over tasks hides
/// them.
[[nodiscard]] inline std::vector<int> unlearned_tasks(const LearningCurves& curves, const ReferenceReturns& references,
                                                      int first, int last, double share = 0.5) {
  detail::check_threshold(share, "unlearned_tasks: share");
  detail::check_positive_oracles(curves, references);
  const std::vector<double> means = curves.mean_by_task(first, last);
  std::vector<int> tasks;
  for (std::size_t i = 0; i < means.size(); ++i)
    if (!(means[i] > share * references.oracle[i])) tasks.push_back(curves.tasks()[i]);
  return tasks;
}

/// The same by normalized score, for returns of any sign.
[[nodiscard]] inline std::vector<int> unlearned_tasks_by_score(const LearningCurves& curves,
                                                               const ReferenceReturns& references, int first, int last,
                                                               double score = 0.5) {
  detail::check_threshold(score, "unlearned_tasks_by_score: score");
  const std::vector<double> scores = normalized_by_task(curves, references, first, last);
  std::vector<int> tasks;
  for (std::size_t i = 0; i < scores.size(); ++i)
    if (!(scores[i] > score)) tasks.push_back(curves.tasks()[i]);
  return tasks;
}

/// The mean return of each episode with a confidence interval over tasks, as a series for a plot.
[[nodiscard]] inline PlotSeries plot_series(std::string name, const LearningCurves& curves,
                                            const BootstrapConfig& config = {.resamples = 500}) {
  PlotSeries series{.name = std::move(name), .y = curves.mean_by_episode()};
  for (int e = 1; e <= curves.episode_count(); ++e)
    series.band.push_back(bootstrap_interval(curves.mean_by_task(e, e), mean, config));
  return series;
}

}  // namespace icrl
