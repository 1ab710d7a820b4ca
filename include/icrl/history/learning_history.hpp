// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <icrl/history/column.hpp>
#include <icrl/history/history_view.hpp>

namespace icrl {

/// A learning history in memory: the finished episodes of one learner on one task. A HistoryRecorder fills it. A
/// moved-from history can only be assigned to or destroyed.
class LearningHistory {
public:
  /// Throws Error for an invalid info.
  explicit LearningHistory(HistoryInfo info)
      : info_{checked(std::move(info))},
        observations_{info_->observation_space},
        actions_{info_->action_space},
        expert_actions_{info_->action_space} {}

  /// The spaces, the task and the optional columns.
  [[nodiscard]] const HistoryInfo& info() const& { return *info_; }
  /// A copy, because this history is a temporary object.
  [[nodiscard]] HistoryInfo info() const&& { return *info_; }
  /// Finished episodes.
  [[nodiscard]] int episode_count() const { return static_cast<int>(episode_ends_.size()); }
  /// Steps of all finished episodes.
  [[nodiscard]] std::int64_t step_count() const { return view().step_count(); }
  /// Valid as long as view().
  [[nodiscard]] EpisodeView episode(int index) const& { return view().episode(index); }
  EpisodeView episode(int index) const&& = delete;

  /// Valid until the history is recorded into, assigned to or destroyed. It may be moved, for example when a vector of
  /// histories grows.
  [[nodiscard]] HistoryView view() const& {
    HistoryColumns columns{.episode_count = episode_count(),
                           .episode_ends = episode_ends_.data(),
                           .episode_endings = episode_endings_.data(),
                           .observations = observations_.view(),
                           .actions = actions_.view(),
                           .rewards = rewards_.data()};
    if (info_->has_action_mask) {
      columns.action_masks = action_masks_.data();
      columns.mask_size = std::get<Discrete>(info_->action_space).count;
    }
    if (info_->has_behavior_probability) columns.behavior_probabilities = behavior_probabilities_.data();
    if (info_->has_expert_action) columns.expert_actions = expert_actions_.view();
    if (!info_->extra_features.empty()) {
      columns.extra_features = extra_features_.data();
      columns.extra_size = extra_size(info_->extra_features);
    }
    return {*info_, columns};
  }
  HistoryView view() const&& = delete;

private:
  static std::shared_ptr<const HistoryInfo> checked(HistoryInfo info) {
    validate(info);
    return std::make_shared<const HistoryInfo>(std::move(info));
  }

  friend class HistoryRecorder;  // it appends rows of an open episode, which count once the episode has ended

  std::shared_ptr<const HistoryInfo> info_;  // views point at it, so it stays where it is when the history moves
  std::vector<std::uint64_t> episode_ends_;
  std::vector<std::uint8_t> episode_endings_;
  Column observations_, actions_, expert_actions_;
  std::vector<float> rewards_, behavior_probabilities_, extra_features_;
  std::vector<std::uint8_t> action_masks_;
};
// Else a vector that grows would copy its histories, and all views of them would be lost.
static_assert(std::is_nothrow_move_constructible_v<LearningHistory>);

}  // namespace icrl
