// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <icrl/history/episode_copier.hpp>
#include <icrl/history/extra_feature.hpp>
#include <icrl/history/history_view.hpp>
#include <icrl/history/learning_history.hpp>

namespace icrl {

/// The same history with one more extra feature. `fill(const EpisodeView&, int t, std::span<float> out)` writes its
/// numbers at step t of an episode; it is called for all steps in order. Throws Error for a name that the history has
/// already, and for a number that is not finite.
template <typename Fill>
[[nodiscard]] LearningHistory with_extra_feature(const HistoryView& history, ExtraFeature feature, Fill&& fill) {
  HistoryInfo info = history.info();
  info.extra_features.push_back(std::move(feature));
  LearningHistory made{info};
  detail::EpisodeCopier copier{made};
  std::vector<float> extra(static_cast<std::size_t>(extra_size(info.extra_features)));
  const std::size_t added = static_cast<std::size_t>(info.extra_features.back().size), kept = extra.size() - added;
  for (int e = 0; e < history.episode_count(); ++e) {
    const EpisodeView episode = history.episode(e);
    copier.copy(episode, [&](int t) {
      if (kept > 0) std::ranges::copy(episode.extra_features(t), extra.begin());
      fill(episode, t, std::span{extra}.last(added));
      return std::span<const float>{extra};
    });
  }
  return made;
}

/// The same history with the discounted return from each step to the end of its episode: a reward k steps later counts
/// discount^k times (the return-to-go of Chen et al., 2021).
[[nodiscard]] inline LearningHistory with_return_to_go(const HistoryView& history, double discount = 1,
                                                       std::string name = "return_to_go") {
  std::vector<double> returns;  // of the present episode
  return with_extra_feature(history, {.name = std::move(name), .size = 1},
                            [&](const EpisodeView& episode, int t, std::span<float> out) {
                              if (t == 0) {
                                returns.assign(static_cast<std::size_t>(episode.length()) + 1, 0);
                                for (int s = episode.length(); s-- > 0;) {
                                  const auto i = static_cast<std::size_t>(s);
                                  returns[i] = static_cast<double>(episode.reward(s)) + discount * returns[i + 1];
                                }
                              }
                              out[0] = static_cast<float>(returns[static_cast<std::size_t>(t)]);
                            });
}

}  // namespace icrl
