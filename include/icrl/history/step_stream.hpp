// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/history/step_layout.hpp>

namespace icrl {

/// What decides the flags of the next row of a stream.
///
/// Without a closing token the last action and reward of an episode are carried into the first row of the next one,
/// so that nothing is lost. With it the closing row holds them, and the next episode starts without a past.
class StreamPhase {
public:
  StreamPhase() = default;
  /// A phase in the middle of a stream, such as a saved one. A default-constructed phase is that of a new stream.
  StreamPhase(bool at_episode_start, bool has_previous)
      : at_episode_start_{at_episode_start}, has_previous_{has_previous} {}

  /// Flags of a row that asks for an action.
  [[nodiscard]] int flags() const {
    return (at_episode_start_ ? StepFlag::episode_start : 0) | (has_previous_ ? 0 : StepFlag::no_previous);
  }
  /// Whether the next row is the first of an episode.
  [[nodiscard]] bool at_episode_start() const { return at_episode_start_; }
  /// Whether the next row holds a previous action and reward.
  [[nodiscard]] bool has_previous() const { return has_previous_; }

  /// An action was taken; `ended`: it was the last of its episode.
  void record(bool ended) {
    has_previous_ = true;
    at_episode_start_ = ended;
  }
  /// A closing row has been written.
  void close() { has_previous_ = false; }

  friend bool operator==(const StreamPhase&, const StreamPhase&) = default;

private:
  bool at_episode_start_ = true;
  bool has_previous_ = false;
};

/// Makes the rows of an ongoing stream of steps across episodes, one before each action.
class StepStream {
public:
  /// Everything that determines the next rows, for saving and resuming a stream.
  struct State {
    StreamPhase phase;                   ///< what decides the next flags
    std::vector<float> previous_action;  ///< numbers of the last action; only read if there is one
    float previous_reward = 0;           ///< the reward of the last action
    friend bool operator==(const State&, const State&) = default;
  };

  /// A new stream: the first row begins an episode and has no past.
  explicit StepStream(const StepLayout& layout) : layout_{layout} { reset(); }

  /// What a row holds.
  [[nodiscard]] const StepLayout& layout() const { return layout_; }
  /// Whether the next row is the first of an episode.
  [[nodiscard]] bool at_episode_start() const { return state_.phase.at_episode_start(); }

  /// Writes the row that asks for an action. `extra_features` has all of the layout's, one after another.
  void observe(std::span<const float> observation, std::span<const float> extra_features, std::span<float> row) const {
    layout_.write(row, observation, state_.previous_action, state_.previous_reward, state_.phase.flags());
    ICRL_ASSERT(extra_features.size() == static_cast<std::size_t>(layout_.extra_size()),
                "step stream: extra_features must have the layout's extra_size() numbers");
    std::copy(extra_features.begin(), extra_features.end(), layout_.extra_features_of(row).begin());
  }
  /// The same for a layout without extra features.
  void observe(std::span<const float> observation, std::span<float> row) const { observe(observation, {}, row); }

  /// Stores the action taken and its reward; `ended`: it was the last of its episode.
  void record(std::span<const float> action, float reward, bool ended) {
    ICRL_ASSERT(action.size() == state_.previous_action.size(),
                "step stream: action must have the layout's action_size() numbers");
    std::copy(action.begin(), action.end(), state_.previous_action.begin());
    state_.previous_reward = reward;
    state_.phase.record(ended);
  }

  /// Writes the closing row of the episode that record() ended. Only for layouts with a closing token.
  void close(std::span<const float> final_observation, std::span<float> row) {
    ICRL_ASSERT(layout_.closing_token, "step stream: close() needs a layout with a closing token");
    ICRL_ASSERT(state_.phase.at_episode_start() && state_.phase.has_previous(),
                "step stream: close() must follow a record() that ended its episode");
    layout_.write(row, final_observation, state_.previous_action, state_.previous_reward, StepFlag::closing);
    state_.phase.close();
  }

  /// Forgets the past.
  void reset() {
    state_ = {};
    state_.previous_action.assign(static_cast<std::size_t>(layout_.action_size()), 0.0f);
  }

  /// For saving; `restore` continues from it.
  [[nodiscard]] const State& state() const { return state_; }
  /// Continues from a state of a stream with this layout.
  void restore(State state) {
    ICRL_ASSERT(state.previous_action.size() == state_.previous_action.size(),
                "step stream: the state belongs to another layout");
    state_ = std::move(state);
  }

private:
  StepLayout layout_;
  State state_;
};

}  // namespace icrl
