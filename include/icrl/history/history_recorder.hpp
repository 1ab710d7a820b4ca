// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include <icrl/core/assert.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/env/space_text.hpp>
#include <icrl/history/learning_history.hpp>
#include <icrl/history/space_check.hpp>

namespace icrl {

/// What the optional columns of a history hold for one step. Only the columns that the history has are read.
struct StepExtras {
  /// One byte per action, 0 = forbidden; the action taken must be allowed.
  std::span<const std::uint8_t> action_mask{};
  /// Of the action taken, finite, at least 0; a density where actions are continuous.
  float behavior_probability = 1.0f;
  std::span<const float> expert_action{};   ///< an element of the action space
  std::span<const float> extra_features{};  ///< the numbers of all of them, one after another
};

/// Records episodes into a history, step by step, for programs with their own loop:
///   recorder.begin_episode(first observation), then recorder.step(...) until terminated or truncated, and again.
///
/// An episode counts once it has ended: one that is still open when the recorder is destroyed is not part of the
/// history.
/// Wrong calls and values outside their space throw Error and change nothing. If memory runs out in a step, the open
/// episode is dropped, and the finished ones stay.
class HistoryRecorder {
public:
  /// `history` outlives the recorder and is not moved meanwhile.
  explicit HistoryRecorder(LearningHistory& history)
      : history_{&history},
        observation_check_{history.info().observation_space},
        action_check_{history.info().action_space} {
    drop_open_rows();
  }

  /// Begins an episode with its first observation. Throws Error if one is still open.
  void begin_episode(std::span<const float> observation) {
    if (is_open_) refuse("the episode is still open (end it, or call abandon_episode())");
    if (!observation_check_.contains(observation)) refuse_value("observation", observation, info().observation_space);
    drop_open_rows();
    history_->observations_.append(observation);
    is_open_ = true;
    length_ = 0;
  }

  /// Records a step: the action, its reward and the next observation.
  void step(std::span<const float> action, float reward, std::span<const float> next_observation, bool terminated,
            bool truncated, const StepExtras& extras = {}) {
    if (!is_open_) refuse("a step came before begin_episode()");
    if (!action_check_.contains(action)) refuse_value("action", action, info().action_space);
    step_checked(action, reward, next_observation, terminated, truncated, extras);
  }

  /// The same for a caller who knows that the action lies in its space.
  [[gnu::always_inline]] void step_checked(std::span<const float> action, float reward,
                                           std::span<const float> next_observation, bool terminated, bool truncated,
                                           const StepExtras& extras = {}) {
    if (!is_open_) refuse("a step came before begin_episode()");
    ICRL_ASSERT(action_check_.contains(action), "history recorder: the action must lie in its space");
    if (!std::isfinite(reward)) refuse(fmt::format("the reward is {}, it must be finite", reward));
    if (!observation_check_.contains(next_observation))
      refuse_value("next observation", next_observation, info().observation_space);
    if (has_extras_) check_extras(action, extras);

    try {
      history_->actions_.append(action);
      history_->rewards_.push_back(reward);
      history_->observations_.append(next_observation);
      if (has_extras_) append_extras(extras);
      ++length_;
      if (terminated || truncated) end_episode(terminated, truncated);
    } catch (...) {  // no memory: columns of unequal length are no history
      drop_open_rows();
      is_open_ = false;
      throw;
    }
  }

  /// Forgets the episode that is open, if any.
  void abandon_episode() { is_open_ = false; }

  /// Whether an episode has begun and not ended.
  [[nodiscard]] bool is_open() const { return is_open_; }
  /// What is recorded into.
  [[nodiscard]] const LearningHistory& history() const { return *history_; }

private:
  void end_episode(bool terminated, bool truncated) {
    history_->episode_endings_.push_back(static_cast<std::uint8_t>((terminated ? EpisodeEnding::terminated : 0) |
                                                                   (truncated ? EpisodeEnding::truncated : 0)));
    history_->episode_ends_.push_back(std::uint64_t{history_->rewards_.size()});  // now it counts
    is_open_ = false;
  }

  void drop_open_rows() {
    LearningHistory& history = *history_;
    const std::int64_t steps = history.step_count();
    const auto size = static_cast<std::size_t>(steps);
    history.observations_.truncate(steps + history.episode_count());
    history.actions_.truncate(steps);
    history.rewards_.resize(size);
    history.episode_endings_.resize(history.episode_ends_.size());
    if (!has_extras_) return;
    if (history.info().has_action_mask) history.action_masks_.resize(size * mask_size());
    if (history.info().has_behavior_probability) history.behavior_probabilities_.resize(size);
    if (history.info().has_expert_action) history.expert_actions_.truncate(steps);
    history.extra_features_.resize(size * extra_size_);
  }

  void check_extras(std::span<const float> action, const StepExtras& extras) const {
    const HistoryInfo& info = history_->info();
    if (info.has_action_mask) {
      if (extras.action_mask.size() != mask_size())
        refuse(fmt::format("the action mask has {} entries for {} actions", extras.action_mask.size(), mask_size()));
      if (extras.action_mask[static_cast<std::size_t>(action[0])] == 0)
        refuse(fmt::format("action {} is not allowed by the action mask", action[0]));
    }
    const float probability = extras.behavior_probability;  // a density where actions are continuous
    if (info.has_behavior_probability && !(std::isfinite(probability) && probability >= 0))
      refuse(fmt::format("the behavior probability is {}, it must be finite and at least 0", probability));
    if (info.has_expert_action && !action_check_.contains(extras.expert_action))
      refuse_value("expert action", extras.expert_action, info.action_space);
    if (info.has_expert_action && info.has_action_mask &&
        extras.action_mask[static_cast<std::size_t>(extras.expert_action[0])] == 0)
      refuse(fmt::format("the expert action {} is not allowed by the action mask", extras.expert_action[0]));
    if (extra_size_ == 0) return;
    if (extras.extra_features.size() != extra_size_) {
      refuse(fmt::format("there are {} numbers of extra features, {} need {}", extras.extra_features.size(),
                         to_string(info.extra_features), extra_size_));
    }
    if (!std::ranges::all_of(extras.extra_features, [](float number) { return std::isfinite(number); }))
      refuse(fmt::format("the extra features are ({}), they must be finite", shortened(extras.extra_features)));
  }

  void append_extras(const StepExtras& extras) {
    LearningHistory& history = *history_;
    if (history.info().has_action_mask)
      history.action_masks_.insert(history.action_masks_.end(), extras.action_mask.begin(), extras.action_mask.end());
    if (history.info().has_behavior_probability) history.behavior_probabilities_.push_back(extras.behavior_probability);
    if (history.info().has_expert_action) history.expert_actions_.append(extras.expert_action);
    if (extra_size_ > 0) {
      history.extra_features_.insert(history.extra_features_.end(), extras.extra_features.begin(),
                                     extras.extra_features.end());
    }
  }

  [[nodiscard]] std::size_t mask_size() const {
    return static_cast<std::size_t>(std::get<Discrete>(history_->info().action_space).count);
  }
  [[nodiscard]] const HistoryInfo& info() const { return history_->info(); }

  [[noreturn]] void refuse(std::string_view problem) const {
    fail("recording step {} of episode {}: {}", is_open_ ? length_ : 0, history_->episode_count(), problem);
  }
  [[noreturn]] void refuse_value(std::string_view what, std::span<const float> values, const Space& space) const {
    refuse(fmt::format("the {} is {}", what, describe_outside(values, space)));
  }

  LearningHistory* history_;
  SpaceCheck observation_check_, action_check_;
  std::size_t extra_size_ = static_cast<std::size_t>(extra_size(history_->info().extra_features));
  bool has_extras_ = history_->info().has_action_mask || history_->info().has_behavior_probability ||
                     history_->info().has_expert_action || extra_size_ > 0;
  bool is_open_ = false;
  int length_ = 0;  // steps of the open episode
};

}  // namespace icrl
