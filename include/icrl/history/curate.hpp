// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <vector>

#include <icrl/history/history_view.hpp>

namespace icrl {

/// Mean return of the episodes first .. first + count - 1, as far as the history has them; 0 where it has none.
[[nodiscard]] inline double mean_return(const HistoryView& history, int first, int count) {
  const int begin = std::clamp(first, 0, history.episode_count());
  const int end = begin + std::clamp(count, 0, history.episode_count() - begin);
  double total = 0;
  for (int e = begin; e < end; ++e) total += history.episode(e).total_reward();
  return begin == end ? 0.0 : total / (end - begin);
}

/// The histories whose last `episodes` episodes earn more than `least_return` in the mean. A source that never solved
/// its task teaches nothing but failing.
[[nodiscard]] inline std::vector<HistoryView> keep_solved(std::vector<HistoryView> histories, int episodes = 20,
                                                          double least_return = 0) {
  std::erase_if(histories, [&](const HistoryView& history) {
    return !(mean_return(history, std::max(0, history.episode_count() - episodes), episodes) > least_return);
  });
  return histories;
}

}  // namespace icrl
