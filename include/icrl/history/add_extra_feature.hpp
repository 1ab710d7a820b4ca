// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <icrl/history/extra_feature.hpp>
#include <icrl/history/history_recorder.hpp>
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
  HistoryRecorder recorder{made};
  const auto floats = [](const Space& space) {
    return std::vector<float>(static_cast<std::size_t>(value_count(space)));
  };
  std::vector<float> observation = floats(info.observation_space), action = floats(info.action_space), expert = action,
                     extra(static_cast<std::size_t>(extra_size(info.extra_features)));
  const std::size_t added = static_cast<std::size_t>(info.extra_features.back().size), kept = extra.size() - added;
  for (int e = 0; e < history.episode_count(); ++e) {
    const EpisodeView episode = history.episode(e);
    episode.observation(0, observation);
    recorder.begin_episode(observation);
    for (int t = 0; t < episode.length(); ++t) {
      episode.action(t, action);
      episode.observation(t + 1, observation);
      if (kept > 0) std::ranges::copy(episode.extra_features(t), extra.begin());
      fill(episode, t, std::span{extra}.last(added));
      StepExtras extras{.expert_action = expert, .extra_features = extra};
      if (info.has_action_mask) extras.action_mask = episode.action_mask(t);
      if (info.has_behavior_probability) extras.behavior_probability = episode.behavior_probability(t);
      if (info.has_expert_action) episode.expert_action(t, expert);
      const bool is_last = t + 1 == episode.length();
      recorder.step(action, episode.reward(t), observation, is_last && episode.terminated(),
                    is_last && episode.truncated(), extras);
    }
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
