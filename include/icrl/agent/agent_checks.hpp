// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>

#include <icrl/core/fail.hpp>
#include <icrl/env/space_text.hpp>
#include <icrl/history/space_check.hpp>
#include <icrl/history/step_layout.hpp>
#include <icrl/learner/learner.hpp>

namespace icrl::detail {

/// Checks of everything that callers pass to agents. All functions throw Error, which names the member.
class AgentChecks {
public:
  explicit AgentChecks(const StepLayout& layout)
      : layout_{layout}, observation_check_{layout.observation_space}, action_check_{layout.action_space} {}

  /// Throws Error unless these are the spaces that the model was made for.
  void check_spaces(const Space& observation_space, const Space& action_space) const {
    const std::string differ =
        difference(layout_, StepLayout{observation_space, action_space, layout_.closing_token, layout_.extra_features});
    if (differ.empty()) return;
    fail("in-context agents: the model has observations {} and actions {}, the environment has {} and {} ({})",
         to_short_string(layout_.observation_space), to_short_string(layout_.action_space),
         to_short_string(observation_space), to_short_string(action_space), differ);
  }

  void check_observation(std::span<const float> observation, int member) const {
    if (observation_check_.contains(observation)) return;
    fail("in-context agents: member {} observes {}", member, describe_outside(observation, layout_.observation_space));
  }

  void check_action(std::span<const float> action, int member) const {
    if (action_check_.contains(action)) return;
    fail("in-context agents: learn() of member {} was given action {}", member,
         describe_outside(action, layout_.action_space));
  }

  void check_transition(const Transition& transition, int member) const {
    check_action(transition.action, member);
    if (!std::isfinite(transition.reward))
      fail("in-context agents: learn() of member {} was given the reward {}, it must be finite", member,
           transition.reward);
    if (transition.ends_episode() && layout_.closing_token) check_observation(transition.next_observation, member);
  }

  /// Observations of the right number and inside their space.
  void check_observations(const GroupObservations& group) const {
    const std::size_t size = observation_check_.size(), count = group.members.size();
    if (group.observations.size() != count * size) {
      fail("in-context agents: observations hold {} values; {} members in {} need {}", group.observations.size(), count,
           to_short_string(layout_.observation_space), count * size);
    }
    for (std::size_t i = 0; i < count; ++i)
      check_observation(group.observations.subspan(i * size, size), group.members[i]);
  }

  /// All extra features of the layout, finite.
  void check_extra_features(const GroupObservations& group) const {
    const auto size = static_cast<std::size_t>(layout_.extra_size());
    if (group.extra_features.size() != group.members.size() * size) {
      fail("in-context agents: extra_features holds {} numbers; {} members with {} need {}",
           group.extra_features.size(), group.members.size(), to_string(layout_.extra_features),
           group.members.size() * size);
    }
    for (std::size_t i = 0; i < group.extra_features.size(); ++i) {
      if (!std::isfinite(group.extra_features[i])) {
        fail("in-context agents: the extra features of member {} are ({}), each must be finite",
             group.members[i / size], shortened(group.extra_features.subspan(i / size * size, size)));
      }
    }
  }

  /// Masks, if there are any, of the right size, each of which allows an action.
  void check_masks(const GroupObservations& group) const {
    if (group.masks.empty()) return;
    const auto* ids = std::get_if<Discrete>(&layout_.action_space);
    const std::size_t mask_size = ids == nullptr ? 0 : static_cast<std::size_t>(ids->count);
    if (mask_size == 0 || group.masks.size() != group.members.size() * mask_size) {
      fail(
          "in-context agents: masks hold {} bytes for {} members with actions {}; masks need one byte per member and "
          "discrete action",
          group.masks.size(), group.members.size(), to_short_string(layout_.action_space));
    }
    for (std::size_t i = 0; i < group.members.size(); ++i) {
      const auto mask = group.masks.subspan(i * mask_size, mask_size);
      if (std::none_of(mask.begin(), mask.end(), [](std::uint8_t allowed) { return allowed != 0; }))
        fail("in-context agents: the action mask of member {} allows no action", group.members[i]);
    }
  }

private:
  StepLayout layout_;
  SpaceCheck observation_check_, action_check_;
};

}  // namespace icrl::detail
