// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/env/space.hpp>
#include <icrl/history/column.hpp>
#include <icrl/history/extra_feature.hpp>

namespace icrl {

/// The spaces, task and source of a history, and which optional columns it has.
struct HistoryInfo {
  Space observation_space{}, action_space{};   ///< of the environment
  std::int64_t task = 0;                       ///< the task's number in its family
  std::string algorithm{};                     ///< what acted, for people
  std::uint64_t seed = 0;                      ///< of the run that recorded it
  bool has_action_mask = false;                ///< per step: which actions of a Discrete space were allowed
  bool has_behavior_probability = false;       ///< per step: with which probability the action was chosen
  bool has_expert_action = false;              ///< per step: what an expert would have done
  std::vector<ExtraFeature> extra_features{};  ///< per step: what else was known before the action

  friend bool operator==(const HistoryInfo&, const HistoryInfo&) = default;
};

/// Throws Error for invalid spaces or extra features, or a mask over an action space that is not Discrete.
inline void validate(const HistoryInfo& info) {
  validate(info.observation_space, "observation space of a history");
  validate_actions(info.action_space, "action space of a history");
  validate(info.extra_features, "history");
  if (info.has_action_mask && !std::holds_alternative<Discrete>(info.action_space)) {
    fail(
        "action masks need a Discrete action space, not {} (number its actions as one Discrete space, or let the "
        "environment ignore what is forbidden)",
        to_short_string(info.action_space));
  }
}

/// The columns of a history of E episodes and N steps, wherever they lie. Absent columns are null.
struct HistoryColumns {
  int episode_count = 0;                          ///< E
  const std::uint64_t* episode_ends = nullptr;    ///< (E) steps up to the end of each episode; the last is N
  const std::uint8_t* episode_endings = nullptr;  ///< (E) EpisodeEnding bits
  ColumnView observations{};                      ///< (N + E) one more than steps in every episode
  ColumnView actions{};                           ///< (N)
  const float* rewards = nullptr;                 ///< (N)
  const std::uint8_t* action_masks = nullptr;     ///< (N, mask_size)
  const float* behavior_probabilities = nullptr;  ///< (N)
  ColumnView expert_actions{};                    ///< (N)
  const float* extra_features = nullptr;          ///< (N, extra_size)
  int mask_size = 0;                              ///< number of actions
  int extra_size = 0;                             ///< numbers of all extra features
  bool is_mapped = false;                         ///< in a file: pages are read when they are first looked at
};

/// Bits that say how an episode ended; at least one is set.
struct EpisodeEnding {
  static constexpr std::uint8_t terminated = 1, truncated = 2;  ///< as in StepResult
};

/// One episode of a history: observations 0 .. length, and between them actions and rewards 0 .. length - 1.
class EpisodeView {
public:
  /// Episode `index`, whose first step is step `first_step` of all. `length` is its number of steps, at least 1.
  EpisodeView(const HistoryColumns& columns, int index, std::int64_t first_step, int length)
      : columns_{columns}, index_{index}, first_step_{first_step}, length_{length} {}

  /// Steps of the episode.
  [[nodiscard]] int length() const { return length_; }

  /// t in 0 .. length.
  void observation(int t, std::span<float> out) const {
    ICRL_ASSERT(0 <= t && t <= length_, "EpisodeView: t must lie in 0 .. length()");
    columns_.observations.read(first_step_ + index_ + t, out);
  }
  /// t in 0 .. length - 1, here and below.
  void action(int t, std::span<float> out) const { columns_.actions.read(step(t), out); }
  /// The reward of step t.
  [[nodiscard]] float reward(int t) const { return columns_.rewards[step(t)]; }

  /// Whether the task ended: nothing could follow.
  [[nodiscard]] bool terminated() const { return has_ending(EpisodeEnding::terminated); }
  /// Whether the episode was cut off. Both can be true.
  [[nodiscard]] bool truncated() const { return has_ending(EpisodeEnding::truncated); }

  /// The return: the sum of all rewards, not discounted.
  [[nodiscard]] double total_reward() const {
    double total = 0;
    for (int t = 0; t < length_; ++t) total += static_cast<double>(reward(t));
    return total;
  }

  /// One byte per action, not 0 where it was allowed. Only where the info says has_action_mask.
  [[nodiscard]] std::span<const std::uint8_t> action_mask(int t) const {
    ICRL_ASSERT(columns_.action_masks != nullptr,
                "EpisodeView: the history has no action masks (see HistoryInfo::has_action_mask)");
    const auto size = static_cast<std::size_t>(columns_.mask_size);
    return {columns_.action_masks + static_cast<std::size_t>(step(t)) * size, size};
  }
  /// Only where the info says has_behavior_probability.
  [[nodiscard]] float behavior_probability(int t) const {
    ICRL_ASSERT(columns_.behavior_probabilities != nullptr,
                "EpisodeView: the history has no probabilities (see HistoryInfo::has_behavior_probability)");
    return columns_.behavior_probabilities[step(t)];
  }
  /// Only where the info says has_expert_action.
  void expert_action(int t, std::span<float> out) const {
    ICRL_ASSERT(columns_.expert_actions.data != nullptr,
                "EpisodeView: the history has no expert actions (see HistoryInfo::has_expert_action)");
    columns_.expert_actions.read(step(t), out);
  }
  /// The numbers of all extra features, in the order of the info; empty without any.
  [[nodiscard]] std::span<const float> extra_features(int t) const {
    const auto size = static_cast<std::size_t>(columns_.extra_size);
    return size == 0 ? std::span<const float>{}
                     : std::span{columns_.extra_features + static_cast<std::size_t>(step(t)) * size, size};
  }

private:
  [[nodiscard]] std::int64_t step(int t) const {
    ICRL_ASSERT(0 <= t && t < length_, "EpisodeView: t must lie in 0 .. length() - 1");
    return first_step_ + t;
  }
  [[nodiscard]] bool has_ending(std::uint8_t bit) const { return (columns_.episode_endings[index_] & bit) != 0; }

  HistoryColumns columns_;
  int index_;
  std::int64_t first_step_;
  int length_;
};

/// The history of one learner on one task, episode after episode. Does not own its data: it is valid as long as the
/// LearningHistory or HistoryFile that it came from exists, even if that is moved.
class HistoryView {
public:
  /// Both must outlive it: the info itself, and what the columns point to.
  HistoryView(const HistoryInfo& info, const HistoryColumns& columns) : info_{&info}, columns_{columns} {}

  /// The spaces, the task and the optional columns.
  [[nodiscard]] const HistoryInfo& info() const { return *info_; }
  /// Finished episodes, which are 0 .. episode_count() - 1.
  [[nodiscard]] int episode_count() const { return columns_.episode_count; }
  /// Steps of all episodes.
  [[nodiscard]] std::int64_t step_count() const {
    return episode_count() == 0 ? 0 : static_cast<std::int64_t>(columns_.episode_ends[episode_count() - 1]);
  }
  /// Episode `index`, one of 0 .. episode_count() - 1.
  [[nodiscard]] EpisodeView episode(int index) const {
    ICRL_ASSERT(0 <= index && index < episode_count(),
                "HistoryView::episode: index must lie in 0 .. episode_count() - 1");
    return {columns_, index, first_step(index), episode_length(index)};
  }
  /// Steps before an episode, and those of one, without making a view of it.
  [[nodiscard]] std::int64_t first_step(int index) const {
    return index == 0 ? 0 : static_cast<std::int64_t>(columns_.episode_ends[index - 1]);
  }
  /// Steps of an episode.
  [[nodiscard]] int episode_length(int index) const {
    return static_cast<int>(static_cast<std::int64_t>(columns_.episode_ends[index]) - first_step(index));
  }
  /// The columns themselves, for readers of whole columns.
  [[nodiscard]] const HistoryColumns& columns() const { return columns_; }

private:
  const HistoryInfo* info_;
  HistoryColumns columns_;
};

}  // namespace icrl
