// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/eval/comparison.hpp>
#include <icrl/eval/learning_curves.hpp>
#include <icrl/eval/statistics.hpp>

namespace icrl {

/// The normalized area under the learning curves (NAUC): the mean return over all episodes as a share of the oracle's,
/// with a confidence interval over tasks. 1: as good as the oracle from the first episode on. Throws Error if an oracle
/// return is not above 0.
[[nodiscard]] inline Estimate estimate_nauc(const LearningCurves& curves, const ReferenceReturns& references,
                                            const BootstrapConfig& config = {}) {
  return estimate_share_of_oracle(curves, references, 1, curves.episode_count(), config);
}

/// The first episode e, from 1, such that the mean return of the `episodes` episodes up to and including e is at least
/// `target`, up to rounding; empty if there is none. Throws Error if `episodes` is not positive or `target` is NaN.
[[nodiscard]] inline std::optional<int> episodes_until(std::span<const double> returns, double target,
                                                       int episodes = 1) {
  if (episodes < 1) fail("episodes_until: episodes is {}, it must be at least 1", episodes);
  detail::check_threshold(target, "episodes_until: target");
  const double enough = target - 1e-12 * std::max(1.0, std::abs(target));  // the mean of equal returns may round down
  const auto width = static_cast<std::size_t>(episodes);
  for (std::size_t end = width; end <= returns.size(); ++end)
    if (mean(returns.subspan(end - width, width)) >= enough) return static_cast<int>(end);
  return std::nullopt;
}

/// The same for the mean over all tasks and runs, with `share` of the mean oracle return as the target. Throws Error if
/// an oracle return is not above 0.
[[nodiscard]] inline std::optional<int> episodes_until_share(const LearningCurves& curves,
                                                             const ReferenceReturns& references, double share,
                                                             int episodes = 1) {
  detail::check_positive_oracles(curves, references);
  return episodes_until(curves.mean_by_episode(), share * mean(references.oracle), episodes);
}

/// The same for each task, over its runs and with its own oracle.
[[nodiscard]] inline std::vector<std::optional<int>> episodes_until_share_by_task(const LearningCurves& curves,
                                                                                  const ReferenceReturns& references,
                                                                                  double share, int episodes = 1) {
  detail::check_positive_oracles(curves, references);
  std::vector<std::optional<int>> by_task;
  if (curves.run_count() == 0) fail("episodes_until_share_by_task: there are no runs, it needs at least one");
  std::vector<double> means(static_cast<std::size_t>(curves.episode_count()));
  for (int task = 0; task < curves.task_count(); ++task) {
    means.assign(means.size(), 0);
    for (int run = 0; run < curves.run_count(); ++run)
      for (std::size_t e = 0; e < means.size(); ++e) means[e] += curves.returns(task, run)[e];
    for (double& mean : means) mean /= curves.run_count();
    by_task.push_back(episodes_until(means, share * references.oracle[static_cast<std::size_t>(task)], episodes));
  }
  return by_task;
}

}  // namespace icrl
