// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <icrl/history/history_file.hpp>
#include <icrl/history/history_recorder.hpp>
#include <icrl/history/learning_history.hpp>
#include <icrl/history/step_layout.hpp>

#include "support/errors.hpp"

namespace icrl::test {

/// Histories whose values say where they come from: observation t of episode e of history h is (h, e, t), the action
/// there (e + 3 t) % 7, its reward 100 e + t. The last episodes truncate, odd ones terminate.
inline Space telling_observations() { return MultiDiscrete{{20, 300, 300}}; }
inline Space telling_actions() { return Discrete{7}; }
inline StepLayout telling_layout(bool closing_token = false) {
  return {telling_observations(), telling_actions(), closing_token};
}
inline int telling_action(int episode, int t) { return (episode + 3 * t) % 7; }
inline float telling_reward(int episode, int t) { return static_cast<float>(100 * episode + t); }

inline LearningHistory telling_history(int number, const std::vector<int>& lengths, HistoryInfo info = {}) {
  info.observation_space = telling_observations();
  info.action_space = telling_actions();
  info.task = number;
  LearningHistory history{info};
  HistoryRecorder recorder{history};
  const auto observation = [&](int e, int t) {
    return std::array{static_cast<float>(number), static_cast<float>(e), static_cast<float>(t)};
  };
  for (int e = 0; e < static_cast<int>(lengths.size()); ++e) {
    const int length = lengths[static_cast<std::size_t>(e)];
    recorder.begin_episode(observation(e, 0));
    for (int t = 0; t < length; ++t) {
      const std::array action{static_cast<float>(telling_action(e, t))};
      const std::array expert{static_cast<float>((telling_action(e, t) + 1) % 7)};
      const std::vector<std::uint8_t> mask{1, 1, 1, 1, 1, 1, static_cast<std::uint8_t>(1 + t % 2)};
      const bool ends = t + 1 == length;
      recorder.step(action, telling_reward(e, t), observation(e, t + 1), ends && e % 2 == 1, ends && e % 2 == 0,
                    {.action_mask = mask, .behavior_probability = 0.25f, .expert_action = expert});
    }
  }
  return history;
}

/// All that a file would hold of a history.
inline std::vector<std::byte> bytes_of(const HistoryView& history) {
  const auto writer = icrl::detail::write_record(history, 0);
  return {writer.bytes().begin(), writer.bytes().end()};
}

}  // namespace icrl::test
