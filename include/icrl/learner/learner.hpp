// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/space.hpp>
#include <icrl/env/space_text.hpp>

namespace icrl {

/// One step, as passed to a learner. `terminated`: the task is over and nothing follows. `truncated`: the episode was
/// cut off, so the value of the next observation still counts.
struct Transition {
  std::span<const float> observation{}, action{};  ///< elements of the spaces, valid during the call only
  float reward = 0;                                ///< of the action
  std::span<const float> next_observation{};       ///< what the action led to
  bool terminated = false, truncated = false;      ///< how the episode ended, if it did
  /// The actions allowed by the next observation, one byte per action of a Discrete space. Empty allows all actions; it
  /// is always empty after a termination.
  std::span<const std::uint8_t> next_allowed{};
  /// The extra features of the observation, for a model whose layout has them. Only an agent that learns by watching
  /// reads them here; an agent that acts got them from `act`.
  std::span<const float> extra_features{};

  /// Whether the step was the last one of its episode.
  [[nodiscard]] bool ends_episode() const { return terminated || truncated; }
};

/// Something that acts: writes an action for an observation.
template <typename P>
concept Policy = requires(P& policy, std::span<const float> observation, std::span<float> action, Rng& rng) {
  { policy.act(observation, action, rng) } -> std::same_as<void>;
};

/// Optional, for learners and groups: receives the spaces of the environment before a run. Throws Error if it cannot
/// act in them.
template <typename L>
concept ExpectsSpaces = requires(const L& learner, const Space& observation_space, const Space& action_space) {
  learner.check_spaces(observation_space, action_space);
};

/// If it has a `check_spaces`, that is the one that is called: const, of two spaces. Any other would be ignored
/// silently.
template <typename L>
concept CheckSpacesIsCalled = bool(ExpectsSpaces<L> || !requires { &L::check_spaces; });

/// A policy that also receives the transitions. It may update a table, weights or a context, or do nothing.
template <typename L>
concept Learner = Policy<L> && CheckSpacesIsCalled<L> && requires(L& learner, const Transition& transition) {
  { learner.learn(transition) } -> std::same_as<void>;
};

/// Optional: takes into account which actions are allowed, one byte per action of a Discrete space.
template <typename P>
concept MaskedPolicy = requires(P& policy, std::span<const float> observation, std::span<const std::uint8_t> allowed,
                                std::span<float> action, Rng& rng) {
  { policy.act(observation, allowed, action, rng) } -> std::same_as<void>;
};

/// Optional: returns what an expert would have done at the last observation.
template <typename P>
concept HasExpertAction = requires(const P& policy, std::span<float> action) {
  policy.expert_action(action);
};

/// Optional: returns the probability with which it chose its last action.
template <typename P>
concept HasBehaviorProbability = requires(const P& policy) {
  { policy.behavior_probability() } -> std::convertible_to<float>;
};

namespace detail {

/// Throws Error, which begins with `what`, if the environment's spaces differ from those that a learner was made for.
inline void check_observation_space(const Space& expected, const Space& actual, std::string_view what) {
  if (expected != actual)
    fail("{}: its observation space and the environment's differ: {}", what, difference(expected, actual));
}
inline void check_action_space(const Space& expected, const Space& actual, std::string_view what) {
  if (expected != actual)
    fail("{}: its action space and the environment's differ: {}", what, difference(expected, actual));
}

/// Throws Error if these differ from the spaces that `moves` names.
template <typename M>
void check_spaces_of(const M& moves, const Space& observation_space, const Space& action_space, std::string_view what) {
  check_observation_space(moves.observation_space(), observation_space, what);
  check_action_space(moves.action_space(), action_space, what);
}

}  // namespace detail

/// The members of a group that act now. Row r of `observations`, `masks` and `extra_features` belongs to
/// members[r].
struct GroupObservations {
  std::span<const int> members;             ///< their numbers
  std::span<const float> observations;      ///< (members, observation size)
  std::span<const std::uint8_t> masks;      ///< (members, action count), or empty if all actions are allowed
  std::span<const float> extra_features{};  ///< (members, numbers of the layout's extra features)
};

/// Several learners, one per environment, that may share computation. `rngs` is indexed by member. A member's behavior
/// may depend only on its own generator and transitions, and therefore not on the size of the group, unless the group
/// SharesWeights.
template <typename G>
concept GroupLearner = CheckSpacesIsCalled<G> &&
    requires(G& group, const G& frozen, const GroupObservations& observations, std::span<float> actions,
             std::span<Rng> rngs, int member, const Transition& transition) {
  { frozen.member_count() } -> std::convertible_to<int>;
  { group.act(observations, actions, rngs) } -> std::same_as<void>;
  { group.learn(member, transition) } -> std::same_as<void>;
};

/// Optional: a group whose members learn from each other's transitions, such as actors that share one network, declares
/// `static constexpr bool shares_weights = true`. A member's behavior then depends on the whole group.
template <typename G>
concept SharesWeights = GroupLearner<G> && bool(G::shares_weights);

/// Turns separate learners into a group, one learner per member. Does not own them.
template <Learner L>
class LearnerGroup {
public:
  /// The learners must outlive the group.
  explicit LearnerGroup(std::span<L> learners) : learners_{learners} {}

  [[nodiscard]] int member_count() const { return static_cast<int>(learners_.size()); }

  void act(const GroupObservations& group, std::span<float> actions, std::span<Rng> rngs) {
    const std::size_t rows = group.members.size();
    if (rows == 0) return;
    const auto width = [rows](std::size_t size) { return rows == 1 ? size : size / rows; };  // avoids a slow division
    const std::size_t observation_size = width(group.observations.size()), action_size = width(actions.size());
    const std::size_t mask_size = width(group.masks.size());
    for (std::size_t r = 0; r < rows; ++r) {
      const auto member = static_cast<std::size_t>(group.members[r]);
      const auto observation = group.observations.subspan(r * observation_size, observation_size);
      const auto action = actions.subspan(r * action_size, action_size);
      if constexpr (MaskedPolicy<L>) {
        if (!group.masks.empty()) {
          learners_[member].act(observation, group.masks.subspan(r * mask_size, mask_size), action, rngs[member]);
          continue;
        }
      }
      learners_[member].act(observation, action, rngs[member]);
    }
  }

  void learn(int member, const Transition& transition) { at(member).learn(transition); }

  void check_spaces(const Space& observation_space, const Space& action_space) const requires ExpectsSpaces<L> {
    for (const L& learner : learners_) learner.check_spaces(observation_space, action_space);
  }
  void expert_action(int member, std::span<float> action) const requires HasExpertAction<L> {
    at(member).expert_action(action);
  }
  [[nodiscard]] float behavior_probability(int member) const requires HasBehaviorProbability<L> {
    return at(member).behavior_probability();
  }

private:
  [[nodiscard]] L& at(int member) const { return learners_[static_cast<std::size_t>(member)]; }

  std::span<L> learners_;
};

}  // namespace icrl
