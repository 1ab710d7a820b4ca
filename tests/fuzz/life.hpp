// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include <icrl/agent/in_context_agents.hpp>

#include "fuzz/spaces.hpp"

namespace icrl::fuzz {

/// Lets every member of a group live `steps` steps of made-up values in episodes of up to `longest_episode` steps. The
/// first call is `learn`, which an agent takes in any state, whatever it was restored to. Throws Error as the agents
/// do.
template <typename M>
void live(InContextAgents<M>& agents, int steps, int longest_episode, Rng& rng) {
  const StepLayout& layout = agents.model().layout;
  const auto count = static_cast<std::size_t>(agents.member_count());
  std::vector<Rng> rngs;
  std::vector<int> members, lengths(count, 1);
  std::vector<std::vector<float>> observations;
  for (int i = 0; i < agents.member_count(); ++i) {
    rngs.push_back(rng.fork(static_cast<std::uint64_t>(i)));
    members.push_back(i);
    observations.push_back(any_element(layout.observation_space, rng));
  }
  const std::vector<float> features(static_cast<std::size_t>(layout.extra_size()), 0.5f),
      all_features(count * features.size(), 0.5f);
  std::vector<float> actions(count * static_cast<std::size_t>(layout.action_size())), seen;
  for (int t = 0; t < steps; ++t) {
    seen.clear();
    for (const auto& observation : observations) seen.insert(seen.end(), observation.begin(), observation.end());
    if (t > 0) {
      agents.act({.members = members, .observations = seen, .masks = {}, .extra_features = all_features}, actions,
                 rngs);
    }
    for (std::size_t i = 0; i < count; ++i) {
      const std::vector<float> next = any_element(layout.observation_space, rng);
      const bool ends = lengths[i] >= longest_episode || rng.chance(0.2);
      agents.learn(members[i], {.observation = observations[i],
                                .action = any_element(layout.action_space, rng),
                                .reward = static_cast<float>(rng.below(3)),
                                .next_observation = next,
                                .terminated = ends,
                                .extra_features = features});
      lengths[i] = ends ? 1 : lengths[i] + 1;
      observations[i] = ends ? any_element(layout.observation_space, rng) : next;
    }
  }
}

}  // namespace icrl::fuzz
