// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <icrl/history/history_recorder.hpp>
#include <icrl/history/history_view.hpp>
#include <icrl/history/learning_history.hpp>

namespace icrl::detail {

/// Records episodes of one history into another with the same spaces and the same optional columns. Only their extra
/// features may differ.
class EpisodeCopier {
public:
  /// `to` outlives the copier.
  explicit EpisodeCopier(LearningHistory& to)
      : recorder_{to},
        observation_(size_of(to.info().observation_space)),
        action_(size_of(to.info().action_space)),
        expert_{action_} {}

  /// `extra_features_at(t)` returns the extra features of step t for the new history.
  template <typename ExtraFeaturesAt>
  void copy(const EpisodeView& episode, ExtraFeaturesAt&& extra_features_at) {
    const HistoryInfo& info = recorder_.history().info();
    episode.observation(0, observation_);
    recorder_.begin_episode(observation_);
    for (int t = 0; t < episode.length(); ++t) {
      episode.action(t, action_);
      episode.observation(t + 1, observation_);
      StepExtras extras{.expert_action = expert_, .extra_features = extra_features_at(t)};
      if (info.has_action_mask) extras.action_mask = episode.action_mask(t);
      if (info.has_behavior_probability) extras.behavior_probability = episode.behavior_probability(t);
      if (info.has_expert_action) episode.expert_action(t, expert_);
      const bool is_last = t + 1 == episode.length();
      recorder_.step(action_, episode.reward(t), observation_, is_last && episode.terminated(),
                     is_last && episode.truncated(), extras);
    }
  }

private:
  static std::size_t size_of(const Space& space) { return static_cast<std::size_t>(value_count(space)); }

  HistoryRecorder recorder_;
  std::vector<float> observation_, action_, expert_;
};

}  // namespace icrl::detail
