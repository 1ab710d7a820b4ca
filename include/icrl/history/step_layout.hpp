// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/config_fields.hpp>
#include <icrl/env/space.hpp>
#include <icrl/env/space_text.hpp>
#include <icrl/history/extra_feature.hpp>

namespace icrl {

/// Where a window of steps may begin: at the first step of an episode, or at any step.
enum class WindowStart { episode, anywhere };

/// The text of a start in descriptions: "at episode starts" or "anywhere".
[[nodiscard]] inline std::string_view to_string(WindowStart start) {
  return start == WindowStart::episode ? "at episode starts" : "anywhere";
}
/// The names of starts in files and descriptions.
inline constexpr EnumName<WindowStart> window_start_names[] = {{WindowStart::episode, "episode", "at episode starts"},
                                                               {WindowStart::anywhere, "anywhere"}};

/// Bits of the flag that ends every row.
struct StepFlag {
  static constexpr int episode_start = 1;  ///< the observation is the first of its episode
  static constexpr int no_previous = 2;    ///< nothing is known of the step before: null action, reward 0
  static constexpr int closing = 4;        ///< the observation is the last of its episode, no action follows
  static constexpr int count = 8;          ///< flags are ids in [0, count)
};

/// How a model sees one environment step: a row of `feature_count()` floats,
///   [ observation | extra features | previous action | previous reward | flag ].
/// The previous action and reward are in the row of the observation that they led to, so a decision adds only one row
/// to a context. Extra features belong to the action that follows; a closing row, which no action follows, has zeros.
struct StepLayout {
  Space observation_space, action_space;  ///< of the environment
  bool closing_token = false;  ///< an ended episode gets one more row: final observation, last action, last reward
  std::vector<ExtraFeature> extra_features{};  ///< of the history's columns, those that a model sees

  /// Numbers of an observation, which begins the row.
  [[nodiscard]] int observation_size() const { return value_count(observation_space); }
  /// Numbers of an action.
  [[nodiscard]] int action_size() const { return value_count(action_space); }
  /// F, numbers of a row.
  [[nodiscard]] int feature_count() const { return flag_offset() + 1; }
  /// Numbers of all extra features.
  [[nodiscard]] int extra_size() const { return icrl::extra_size(extra_features); }
  /// Where they begin in a row.
  [[nodiscard]] int extra_offset() const { return observation_size(); }
  /// Where the previous action begins in a row.
  [[nodiscard]] int action_offset() const { return extra_offset() + extra_size(); }
  /// Where the previous reward is in a row.
  [[nodiscard]] int reward_offset() const { return action_offset() + action_size(); }
  /// Where the flag is in a row: its last number.
  [[nodiscard]] int flag_offset() const { return reward_offset() + 1; }

  /// The part of a row with the observation.
  [[nodiscard]] std::span<float> observation_of(std::span<float> row) const {
    return row.first(static_cast<std::size_t>(observation_size()));
  }
  /// The part with the extra features; empty if there are none.
  [[nodiscard]] std::span<float> extra_features_of(std::span<float> row) const {
    return row.subspan(static_cast<std::size_t>(extra_offset()), static_cast<std::size_t>(extra_size()));
  }
  /// The part with the previous action.
  [[nodiscard]] std::span<float> previous_action_of(std::span<float> row) const {
    return row.subspan(static_cast<std::size_t>(action_offset()), static_cast<std::size_t>(action_size()));
  }

  /// Fills `row`; extra features become zero. With the flag no_previous the previous action and reward are not read.
  /// The observation and the action may already be at their place in the row.
  void write(std::span<float> row, std::span<const float> observation, std::span<const float> previous_action,
             float previous_reward, int flags) const {
    ICRL_ASSERT(row.size() == static_cast<std::size_t>(feature_count()),
                "step layout: row must have feature_count() values");
    put(observation, observation_of(row));
    const std::span<float> extra = extra_features_of(row);
    std::fill(extra.begin(), extra.end(), 0.0f);
    write_past(row.subspan(static_cast<std::size_t>(action_offset())), previous_action, previous_reward, flags);
  }

  /// Fills `past`, the part of a row from the previous action on, in the same way.
  void write_past(std::span<float> past, std::span<const float> previous_action, float previous_reward,
                  int flags) const {
    const auto action = past.first(static_cast<std::size_t>(action_size()));
    ICRL_ASSERT(past.size() == action.size() + 2, "step layout: past must have action_size() + 2 values");
    if ((flags & StepFlag::no_previous) != 0) {
      write_null_action(action);
      previous_reward = 0.0f;
    } else {
      put(previous_action, action);
    }
    past[past.size() - 2] = previous_reward;
    past[past.size() - 1] = static_cast<float>(flags);
  }

  /// Turns a row into one without a past, as the first row of a context is.
  void forget_previous(std::span<float> row) const {
    ICRL_ASSERT(row.size() == static_cast<std::size_t>(feature_count()),
                "step layout: row must have feature_count() values");
    write_null_action(previous_action_of(row));
    row[static_cast<std::size_t>(reward_offset())] = 0.0f;
    float& flags = row[row.size() - 1];
    flags = static_cast<float>(static_cast<int>(flags) | StepFlag::no_previous);
  }

  friend bool operator==(const StepLayout&, const StepLayout&) = default;

  /// The first difference of two layouts, `one` before `other`; empty if they are equal.
  [[nodiscard]] friend std::string difference(const StepLayout& one, const StepLayout& other) {
    if (one.observation_space != other.observation_space)
      return "observation spaces " + difference(one.observation_space, other.observation_space);
    if (one.action_space != other.action_space)
      return "action spaces " + difference(one.action_space, other.action_space);
    if (one.closing_token != other.closing_token)
      return fmt::format("closing tokens {} and {}", one.closing_token, other.closing_token);
    if (one.extra_features == other.extra_features) return {};
    return fmt::format("extra features {} and {}", to_string(one.extra_features), to_string(other.extra_features));
  }

  /// Throws Error unless both spaces and the extra features are valid.
  friend void validate(const StepLayout& layout) {
    validate(layout.observation_space, "step layout, observations");
    validate_actions(layout.action_space, "step layout, actions");
    validate(layout.extra_features, "step layout");
  }

private:
  static void put(std::span<const float> values, std::span<float> place) {
    ICRL_ASSERT(values.size() == place.size(),
                "step layout: an observation or action must have the value_count() of its space");
    if (values.data() != place.data()) std::copy(values.begin(), values.end(), place.begin());
  }

  /// Ids become `count`, one past the last real id; the values of a box become 0.
  void write_null_action(std::span<float> action) const {
    if (const auto* discrete = std::get_if<Discrete>(&action_space)) {
      action[0] = static_cast<float>(discrete->count);
    } else if (const auto* multi = std::get_if<MultiDiscrete>(&action_space)) {
      for (std::size_t i = 0; i < action.size(); ++i) action[i] = static_cast<float>(multi->counts[i]);
    } else {
      std::fill(action.begin(), action.end(), 0.0f);
    }
  }
};

}  // namespace icrl
