// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <icrl/env/dark_room.hpp>
#include <icrl/history/learning_history.hpp>

#include "support/small_model.hpp"

namespace icrl::test {

/// A family of 25 tasks whose episodes take 8 steps, and what fits it.
inline DarkRooms small_rooms() { return DarkRooms{{.side = 5, .horizon = 8}}; }
inline std::vector<int> small_room_tasks() { return {0, 7, 12, 24, 7}; }
inline StepLayout small_room_layout() {
  const DarkRoom room = small_rooms().make(0);
  return {.observation_space = room.observation_space(), .action_space = room.action_space()};
}
inline CausalTransformer<float> small_room_model(std::uint64_t seed, int context = 24) {
  return small_model({.width = 16, .layer_count = 1, .head_count = 2, .context = context}, small_room_layout(), seed);
}

/// Task, and then observation, action and reward of every step, with expert actions if wanted, of histories of small
/// rooms.
inline std::vector<float> numbers_of(std::span<const LearningHistory> histories, bool with_expert_actions) {
  std::vector<float> numbers;
  for (const LearningHistory& history : histories) {
    numbers.push_back(static_cast<float>(history.info().task));
    for (int e = 0; e < history.episode_count(); ++e) {
      const EpisodeView episode = history.episode(e);
      for (int t = 0; t < episode.length(); ++t) {
        float observation[2] = {}, action[1] = {};
        episode.observation(t, observation);
        episode.action(t, action);
        numbers.insert(numbers.end(), {observation[0], observation[1], action[0], episode.reward(t)});
        if (!with_expert_actions) continue;
        episode.expert_action(t, action);
        numbers.push_back(action[0]);
      }
    }
  }
  return numbers;
}

}  // namespace icrl::test
