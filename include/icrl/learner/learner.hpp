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

/// One step, as a learner is told of it. `terminated`: the task is over, nothing comes after; `truncated`: time is up,
/// what would have come after still counts.
struct Transition {
  std::span<const float> observation{}, action{};
  float reward = 0;
  std::span<const float> next_observation{};
  bool terminated = false, truncated = false;
  /// Which actions the next observation allows, one byte per action of a Discrete space; empty allows all, and is what
  /// stands here after a termination.
  std::span<const std::uint8_t> next_allowed{};

  [[nodiscard]] bool ends_episode() const { return terminated || truncated; }
};

/// Something that acts: writes its action for an observation.
template <typename P>
concept Policy = requires(P& policy, std::span<const float> observation, std::span<float> action, Rng& rng) {
  { policy.act(observation, action, rng) } -> std::same_as<void>;
};

/// A policy that is told what its actions led to, whatever it makes of it: a table, weights, a context, or nothing.
template <typename L>
concept Learner = Policy<L> && requires(L& learner, const Transition& transition) {
  { learner.learn(transition) } -> std::same_as<void>;
};

/// Optional: heeds which actions are allowed, one byte per action of a Discrete space.
template <typename P>
concept MaskedPolicy = requires(P& policy, std::span<const float> observation, std::span<const std::uint8_t> allowed,
                                std::span<float> action, Rng& rng) {
  { policy.act(observation, allowed, action, rng) } -> std::same_as<void>;
};

/// Optional: says what an expert would have done where it last acted.
template <typename P>
concept HasExpertAction = requires(const P& policy, std::span<float> action) {
  policy.expert_action(action);
};

/// Optional: says with which probability it chose its last action.
template <typename P>
concept HasBehaviourProbability = requires(const P& policy) {
  { policy.behaviour_probability() } -> std::convertible_to<float>;
};

/// Optional, for learners and groups of them: is told, before a run, between which spaces it will act. Throws Error
/// where it cannot.
template <typename L>
concept ExpectsSpaces = requires(const L& learner, const Space& observation_space, const Space& action_space) {
  learner.expect_spaces(observation_space, action_space);
};

namespace detail {

/// Throws Error, which begins with `what`, unless the environment has the spaces that a learner was made for.
inline void expect_observation_space(const Space& expected, const Space& actual, std::string_view what) {
  if (expected != actual)
    fail("{}: its observation space and the environment's differ: {}", what, difference(expected, actual));
}
inline void expect_action_space(const Space& expected, const Space& actual, std::string_view what) {
  if (expected != actual)
    fail("{}: its action space and the environment's differ: {}", what, difference(expected, actual));
}

/// Throws Error unless these are the spaces that `moves` names.
template <typename M>
void expect_spaces_of(const M& moves, const Space& observation_space, const Space& action_space,
                      std::string_view what) {
  expect_observation_space(moves.observation_space(), observation_space, what);
  expect_action_space(moves.action_space(), action_space, what);
}

}  // namespace detail

/// The members of a group that act now. Row r of `observations` and `masks` is that of members[r].
struct GroupObservations {
  std::span<const int> members;
  std::span<const float> observations;  ///< (members, observation size)
  std::span<const std::uint8_t> masks;  ///< (members, action count), or empty where all actions are allowed
};

/// Many learners side by side, one per environment, that may share their work. `rngs` is indexed by member; what a
/// member does may depend on its own generator and transitions only, so that it does not depend on the group's size,
/// unless the group SharesWeights.
template <typename G>
concept GroupLearner = requires(G& group, const G& frozen, const GroupObservations& observations,
                                std::span<float> actions, std::span<Rng> rngs, int member,
                                const Transition& transition) {
  { frozen.member_count() } -> std::convertible_to<int>;
  { group.act(observations, actions, rngs) } -> std::same_as<void>;
  { group.learn(member, transition) } -> std::same_as<void>;
};

/// Optional: a group whose members learn from each other's transitions, such as the actors of one network, says so by
/// `static constexpr bool shares_weights = true`. What a member does then depends on the whole group.
template <typename G>
concept SharesWeights = GroupLearner<G> && bool(G::shares_weights);

/// Learners lifted to a group, each serving its own member. Does not own them.
template <Learner L>
class LearnerGroup {
public:
  explicit LearnerGroup(std::span<L> learners) : learners_{learners} {}

  [[nodiscard]] int member_count() const { return static_cast<int>(learners_.size()); }

  void act(const GroupObservations& group, std::span<float> actions, std::span<Rng> rngs) {
    const std::size_t rows = group.members.size();
    if (rows == 0) return;
    const auto width = [rows](std::size_t size) { return rows == 1 ? size : size / rows; };  // dividing takes its time
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

  void expect_spaces(const Space& observation_space, const Space& action_space) const requires ExpectsSpaces<L> {
    for (const L& learner : learners_) learner.expect_spaces(observation_space, action_space);
  }
  void expert_action(int member, std::span<float> action) const requires HasExpertAction<L> {
    at(member).expert_action(action);
  }
  [[nodiscard]] float behaviour_probability(int member) const requires HasBehaviourProbability<L> {
    return at(member).behaviour_probability();
  }

private:
  [[nodiscard]] L& at(int member) const { return learners_[static_cast<std::size_t>(member)]; }

  std::span<L> learners_;
};

}  // namespace icrl
