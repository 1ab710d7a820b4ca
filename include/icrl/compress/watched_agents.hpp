// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <icrl/agent/in_context_agents.hpp>
#include <icrl/core/fail.hpp>

namespace icrl {

/// A group of agents that act, and a group of another model that watches them: every watcher sees the whole history of
/// its actor and chooses what it would have done. A GroupLearner with expert actions.
template <Streaming Actor, Streaming Watcher>
class WatchedAgents {
public:
  /// The models must outlive it. `rngs`, one per member, are the generators of the watchers: a member's watcher does
  /// not depend on the group. Throws Error for models with different step layouts.
  WatchedAgents(const Actor& actor, const Watcher& watcher, std::span<const Rng> rngs, const Decoding& decoding = {},
                int context_count = 2, const Decoding& watcher_decoding = {})
      : actors_{actor, static_cast<int>(rngs.size()), decoding, context_count},
        watchers_{watcher, static_cast<int>(rngs.size()), watcher_decoding, context_count},
        rngs_{rngs.begin(), rngs.end()},
        action_size_{static_cast<std::size_t>(actor.actions.action_size())},
        rows_(rngs.size() * action_size_),
        expert_actions_(rngs.size() * action_size_) {
    if (const std::string differ = difference(watcher.layout, actor.layout); !differ.empty())
      fail("watched agents: the watcher's step layout differs from the actor's: {}", differ);
  }

  [[nodiscard]] int member_count() const { return actors_.member_count(); }
  void check_spaces(const Space& observation_space, const Space& action_space) const {
    actors_.check_spaces(observation_space, action_space);
  }

  void act(const GroupObservations& group, std::span<float> actions, std::span<Rng> rngs) {
    actors_.act(group, actions, rngs);
    const auto rows = std::span{rows_}.first(group.members.size() * action_size_);
    watchers_.act(group, rows, rngs_);
    for (std::size_t i = 0; i < group.members.size(); ++i) {
      const auto member = static_cast<std::size_t>(group.members[i]);
      std::copy_n(&rows[i * action_size_], action_size_, &expert_actions_[member * action_size_]);
    }
  }
  void learn(int member, const Transition& transition) {
    actors_.learn(member, transition);
    watchers_.learn(member, transition);
  }

  /// What the watcher would have done where the member last acted.
  void expert_action(int member, std::span<float> action) const {
    std::copy_n(&expert_actions_[static_cast<std::size_t>(member) * action_size_], action_size_, action.begin());
  }

  /// The outputs of both models for the i-th member that acted last.
  [[nodiscard]] std::span<const typename Actor::Scalar> outputs(int i) const { return actors_.outputs(i); }
  /// As `outputs`, of the watching model.
  [[nodiscard]] std::span<const typename Watcher::Scalar> watcher_outputs(int i) const { return watchers_.outputs(i); }

private:
  InContextAgents<Actor> actors_;
  InContextAgents<Watcher> watchers_;
  std::vector<Rng> rngs_;
  std::size_t action_size_;
  std::vector<float> rows_, expert_actions_;  // of the members that act, and of all
};

}  // namespace icrl
