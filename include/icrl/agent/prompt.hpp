// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/history/extra_feature.hpp>
#include <icrl/history/history_view.hpp>
#include <icrl/model/concepts.hpp>

namespace icrl {

/// Fills an agent's memory with episodes of a history, as if the agent had lived them: it begins where a source or
/// another agent left off. Laskin et al. (2022) prompt with a source's history of mediocre returns and see
/// the agent improve on it. Episodes first .. first + count - 1, from 0. If the memory is shorter than that, the latest
/// steps remain. Extra features are found by their names. Throws Error and changes nothing if the history lacks these
/// episodes or an extra feature of the model, if an episode is longer than the model can follow, if spaces differ, and
/// if the agent is in the middle of an episode.
template <Streaming M>
void prompt(InContextAgent<M>& agent, const HistoryView& history, int first, int count) {
  if (first < 0 || count < 0 || count > history.episode_count() - first) {
    fail("prompt: {} episodes from {} on are requested, but the history has {}", count, first, history.episode_count());
  }
  if (agent.awaits_learn() || !agent.at_episode_start()) {
    fail("prompt: the agent is within an episode of its own; prompt it before the episode's first act()");
  }
  const HistoryInfo& info = history.info();
  agent.check_spaces(info.observation_space, info.action_space);
  const std::optional<int> most = agent.model().max_stream_length();
  for (int e = first; e < first + count; ++e) {
    if (most && window_start_of(agent.model()) == WindowStart::episode && history.episode(e).length() > *most) {
      fail("prompt: episode {} has {} steps, but the model's context is {}, and no episode may be longer", e,
           history.episode(e).length(), *most);
    }
  }
  std::vector<std::pair<int, int>> parts;  // of the history's extra features: place and size of each of the model's
  for (const ExtraFeature& feature : agent.model().layout.extra_features) {
    parts.emplace_back(find_extra_feature(info.extra_features, feature), feature.size);
    if (parts.back().first < 0) {
      fail("prompt: the model reads the extra feature {} ({}), but the history has {}", feature.name, feature.size,
           to_string(info.extra_features));
    }
  }
  std::vector<float> extra;
  const auto floats = [](const Space& space) {
    return std::vector<float>(static_cast<std::size_t>(value_count(space)));
  };
  std::vector<float> observation = floats(info.observation_space), next = observation,
                     action = floats(info.action_space);
  for (int e = first; e < first + count; ++e) {
    const EpisodeView episode = history.episode(e);
    for (int t = 0; t < episode.length(); ++t) {
      episode.observation(t, observation);
      episode.action(t, action);
      episode.observation(t + 1, next);
      const bool is_last = t + 1 == episode.length();
      extra.clear();
      for (const auto& [place, size] : parts) {
        const auto numbers =
            episode.extra_features(t).subspan(static_cast<std::size_t>(place), static_cast<std::size_t>(size));
        extra.insert(extra.end(), numbers.begin(), numbers.end());
      }
      agent.learn({.observation = observation,
                   .action = action,
                   .reward = episode.reward(t),
                   .next_observation = next,
                   .terminated = is_last && episode.terminated(),
                   .truncated = is_last && episode.truncated(),
                   .extra_features = extra});
    }
  }
}

}  // namespace icrl
