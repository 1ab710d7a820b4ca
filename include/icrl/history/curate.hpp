// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/history/history_view.hpp>

namespace icrl {

/// Mean return of the episodes first .. first + count - 1, as far as the history has them; 0 if it has none.
[[nodiscard]] inline double mean_return(const HistoryView& history, int first, int count) {
  const auto inside = [&](std::int64_t e) {
    return static_cast<int>(std::clamp<std::int64_t>(e, 0, history.episode_count()));
  };
  const int begin = inside(first), end = std::max(begin, inside(std::int64_t{first} + count));
  double total = 0;
  for (int e = begin; e < end; ++e) total += history.episode(e).total_reward();
  return begin == end ? 0.0 : total / (end - begin);
}

/// The histories whose last `episodes` episodes have a mean return above `least_return` (which is below 0 if rewards
/// are costs). A source that never solved its task only teaches how to fail. Throws Error if there is no such history,
/// and if `episodes` is not positive.
[[nodiscard]] inline std::vector<HistoryView> keep_solved(std::vector<HistoryView> histories, int episodes = 20,
                                                          double least_return = 0) {
  if (episodes < 1) fail("keep_solved: episodes is {}, it must be at least 1", episodes);
  double best = -std::numeric_limits<double>::infinity();
  const std::size_t count = histories.size();
  std::erase_if(histories, [&](const HistoryView& history) {
    if (history.episode_count() == 0) return true;
    const double earned = mean_return(history, std::max(0, history.episode_count() - episodes), episodes);
    best = std::max(best, earned);
    return !(earned > least_return);
  });
  if (histories.empty() && count > 0) {
    fail(
        "keep_solved: of {} histories none earns more than {} in its last {} episodes, the best of them {} (record "
        "longer ones, or lower least_return)",
        count, least_return, episodes, best);
  }
  return histories;
}

}  // namespace icrl
