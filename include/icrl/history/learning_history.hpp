// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include <icrl/history/column.hpp>
#include <icrl/history/history_view.hpp>

namespace icrl {

/// A learning history in memory: the finished episodes of one learner on one task. A HistoryRecorder fills it.
class LearningHistory {
public:
  /// Throws Error for an info that makes no sense.
  explicit LearningHistory(HistoryInfo info)
      : info_{(validate(info), std::move(info))},
        observations_{info_.observation_space},
        actions_{info_.action_space},
        expert_actions_{info_.action_space} {}

  [[nodiscard]] const HistoryInfo& info() const { return info_; }
  [[nodiscard]] int episode_count() const { return static_cast<int>(episode_ends_.size()); }
  [[nodiscard]] std::int64_t step_count() const { return view().step_count(); }
  [[nodiscard]] EpisodeView episode(int index) const { return view().episode(index); }

  /// Valid until the history is recorded into, moved or destroyed.
  [[nodiscard]] HistoryView view() const {
    HistoryColumns columns{.episode_count = episode_count(),
                           .episode_ends = episode_ends_.data(),
                           .episode_endings = episode_endings_.data(),
                           .observations = observations_.view(),
                           .actions = actions_.view(),
                           .rewards = rewards_.data()};
    if (info_.has_action_mask) {
      columns.action_masks = action_masks_.data();
      columns.mask_size = std::get<Discrete>(info_.action_space).count;
    }
    if (info_.has_behaviour_probability) columns.behaviour_probabilities = behaviour_probabilities_.data();
    if (info_.has_expert_action) columns.expert_actions = expert_actions_.view();
    return {info_, columns};
  }

private:
  friend class HistoryRecorder;  // it appends rows of an open episode, which count once the episode has ended

  HistoryInfo info_;
  std::vector<std::uint64_t> episode_ends_;
  std::vector<std::uint8_t> episode_endings_;
  Column observations_, actions_, expert_actions_;
  std::vector<float> rewards_, behaviour_probabilities_;
  std::vector<std::uint8_t> action_masks_;
};

}  // namespace icrl
