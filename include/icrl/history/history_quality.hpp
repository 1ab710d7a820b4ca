// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/history/curate.hpp>
#include <icrl/history/history_view.hpp>

namespace icrl {

/// How good an example of learning a history is. Both numbers lie in 0 .. 1 if the source got better; improvement is
/// negative if it got worse. Chen et al. (2025) filter and weight histories by a sum of two such terms.
struct HistoryQuality {
  /// Mean return of the last quarter of the episodes minus that of the first, divided by the range of the returns.
  double improvement = 0;
  /// 1 minus the mean drop from one episode to the next, divided by the range of the returns.
  double stability = 1;
};

/// A history whose episodes all have the same return has improvement 0 and stability 1. Throws Error for a history
/// without episodes.
[[nodiscard]] inline HistoryQuality history_quality(const HistoryView& history) {
  const int count = history.episode_count();
  if (count == 0) fail("history_quality: the history has no episodes");
  double lowest = history.episode(0).total_reward(), highest = lowest, last = lowest, drops = 0;
  for (int e = 1; e < count; ++e) {
    const double value = history.episode(e).total_reward();
    lowest = std::min(lowest, value);
    highest = std::max(highest, value);
    drops += std::max(0.0, last - value);
    last = value;
  }
  const double range = highest - lowest;
  if (!(range > 0)) return {};
  const int quarter = std::max(1, count / 4);
  return {.improvement = (mean_return(history, count - quarter, quarter) - mean_return(history, 0, quarter)) / range,
          .stability = 1 - drops / (count - 1) / range};
}

/// The fraction of the histories with the highest improvement + `stability_weight` * stability, at least one, in their
/// order. Throws Error without histories, for a fraction outside (0, 1], or for a weight that is negative or not
/// finite.
[[nodiscard]] inline std::vector<HistoryView> keep_best(std::span<const HistoryView> histories, double fraction,
                                                        double stability_weight = 1) {
  if (histories.empty()) fail("keep_best: there are no histories");
  if (!(fraction > 0 && fraction <= 1)) fail("keep_best: fraction is {}, it must lie in (0, 1]", fraction);
  if (!(stability_weight >= 0) || !std::isfinite(stability_weight))
    fail("keep_best: stability_weight is {}, it must be 0 or more", stability_weight);
  std::vector<double> scores;
  for (const HistoryView& history : histories) {
    const HistoryQuality quality = history_quality(history);
    scores.push_back(quality.improvement + stability_weight * quality.stability);
  }
  std::vector<std::size_t> order(histories.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::ranges::greater{}, [&](std::size_t i) { return scores[i]; });
  order.resize(
      std::max<std::size_t>(1, static_cast<std::size_t>(std::lround(fraction * static_cast<double>(order.size())))));
  std::ranges::sort(order);
  std::vector<HistoryView> kept;
  for (const std::size_t i : order) kept.push_back(histories[i]);
  return kept;
}

}  // namespace icrl
