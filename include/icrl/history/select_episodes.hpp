// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/history/episode_copier.hpp>
#include <icrl/history/history_view.hpp>
#include <icrl/history/learning_history.hpp>

namespace icrl {

/// A history of some episodes of another one, in the order given; an episode may occur several times. Throws Error for
/// an episode that the history does not have.
[[nodiscard]] inline LearningHistory select_episodes(const HistoryView& history, std::span<const int> episodes) {
  LearningHistory made{history.info()};
  detail::EpisodeCopier copier{made};
  for (const int e : episodes) {
    if (e < 0 || e >= history.episode_count())
      fail("select_episodes: episode {} is requested, but the history has 0 .. {}", e, history.episode_count() - 1);
    const EpisodeView episode = history.episode(e);
    copier.copy(episode, [&](int t) { return episode.extra_features(t); });
  }
  return made;
}

/// The same history with its episodes in the order of their returns, the lowest first; equal ones stay in their order.
/// A window of it shows improvement, also where the source improved by fits and starts (return-sorted contexts; Huang
/// et al., 2024).
[[nodiscard]] inline LearningHistory sorted_by_return(const HistoryView& history) {
  std::vector<double> returns;
  for (int e = 0; e < history.episode_count(); ++e) returns.push_back(history.episode(e).total_reward());
  std::vector<int> order(returns.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, [&](int e) { return returns[static_cast<std::size_t>(e)]; });
  return select_episodes(history, order);
}

}  // namespace icrl
