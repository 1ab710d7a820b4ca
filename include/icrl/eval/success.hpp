// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/eval/learning_curves.hpp>

namespace icrl {

/// Why runs fail: a run that never finds anything explores too little; a run that does not keep what it found forgets.
struct SuccessCounts {
  std::int64_t runs = 0;            ///< that were counted
  std::int64_t found = 0;           ///< runs with at least one successful episode
  std::int64_t later_episodes = 0;  ///< episodes after the first success of their run
  std::int64_t kept = 0;            ///< later episodes that succeed

  /// Fraction of the runs in which any episode succeeds. Throws Error if there are no runs.
  [[nodiscard]] double ever_found() const {
    if (runs == 0) fail("SuccessCounts: there are no runs, ever_found() needs at least one");
    return static_cast<double>(found) / static_cast<double>(runs);
  }
  /// Fraction of the episodes after a run's first success that succeed too; empty if there are none.
  [[nodiscard]] std::optional<double> kept_after_first_success() const {
    if (later_episodes == 0) return std::nullopt;
    return static_cast<double>(kept) / static_cast<double>(later_episodes);
  }
};

/// Counts per task, over its runs. An episode succeeds if its return exceeds `threshold`.
[[nodiscard]] inline std::vector<SuccessCounts> successes_by_task(const LearningCurves& curves, double threshold = 0) {
  if (std::isnan(threshold)) fail("successes: threshold is nan, it must be a number");
  std::vector<SuccessCounts> by_task;
  for (int task = 0; task < curves.task_count(); ++task) {
    SuccessCounts counts;
    for (int run = 0; run < curves.run_count(); ++run) {
      bool was_found = false;
      for (const double value : curves.returns(task, run)) {
        const bool succeeds = value > threshold;
        counts.later_episodes += was_found;
        counts.kept += was_found && succeeds;
        was_found = was_found || succeeds;
      }
      ++counts.runs;
      counts.found += was_found;
    }
    by_task.push_back(counts);
  }
  return by_task;
}

/// Counts over all tasks together.
[[nodiscard]] inline SuccessCounts successes(const LearningCurves& curves, double threshold = 0) {
  SuccessCounts all;
  for (const SuccessCounts& task : successes_by_task(curves, threshold)) {
    all.runs += task.runs;
    all.found += task.found;
    all.later_episodes += task.later_episodes;
    all.kept += task.kept;
  }
  return all;
}

}  // namespace icrl
