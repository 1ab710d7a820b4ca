// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/history/history_recorder.hpp>
#include <icrl/history/history_view.hpp>
#include <icrl/history/learning_history.hpp>

namespace icrl {

namespace detail {

/// Records an episode of one history into another with the same info.
class EpisodeCopier {
public:
  explicit EpisodeCopier(LearningHistory& to)
      : recorder_{to},
        observation_(static_cast<std::size_t>(value_count(to.info().observation_space))),
        action_(static_cast<std::size_t>(value_count(to.info().action_space))),
        expert_{action_} {}

  void copy(const EpisodeView& episode, const HistoryInfo& info) {
    episode.observation(0, observation_);
    recorder_.begin_episode(observation_);
    for (int t = 0; t < episode.length(); ++t) {
      episode.action(t, action_);
      episode.observation(t + 1, observation_);
      StepExtras extras{.expert_action = expert_, .extra_features = episode.extra_features(t)};
      if (info.has_action_mask) extras.action_mask = episode.action_mask(t);
      if (info.has_behavior_probability) extras.behavior_probability = episode.behavior_probability(t);
      if (info.has_expert_action) episode.expert_action(t, expert_);
      const bool is_last = t + 1 == episode.length();
      recorder_.step(action_, episode.reward(t), observation_, is_last && episode.terminated(),
                     is_last && episode.truncated(), extras);
    }
  }

private:
  HistoryRecorder recorder_;
  std::vector<float> observation_, action_, expert_;
};

}  // namespace detail

/// A history of some episodes of another one, in the order given; an episode may occur several times. Throws Error for
/// an episode that the history does not have.
[[nodiscard]] inline LearningHistory select_episodes(const HistoryView& history, std::span<const int> episodes) {
  LearningHistory made{history.info()};
  detail::EpisodeCopier copier{made};
  for (const int e : episodes) {
    if (e < 0 || e >= history.episode_count())
      fail("select_episodes: episode {} is requested, but the history has 0 .. {}", e, history.episode_count() - 1);
    copier.copy(history.episode(e), history.info());
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
