// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include <icrl/agent/in_context_agents.hpp>

namespace icrl {

/// A Learner that learns by remembering: a frozen model whose context grows with every step. A group of one; see
/// InContextAgents for what its functions promise and throw.
///
///     InContextAgent agent{model};
///     agent.act(observation, action, rng);                       // then step your environment
///     agent.learn({observation, action, reward, next_observation, terminated, truncated});
template <Streaming M>
class InContextAgent {
public:
  using Scalar = typename M::Scalar;
  using State = AgentState<M>;

  /// The model must outlive the agent. `context_count`: see StaggeredContexts. Throws Error for an invalid decoding or
  /// number of contexts.
  explicit InContextAgent(const M& model, Decoding decoding = {}, int context_count = 2)
      : group_{model, 1, decoding, context_count} {}
  explicit InContextAgent(const M&&, Decoding = {}, int = 2) = delete;

  /// Throws Error unless these are the spaces that the model was made for.
  void check_spaces(const Space& observation_space, const Space& action_space) const {
    group_.check_spaces(observation_space, action_space);
  }

  /// Chooses one of all actions, for a model without extra features. Here and below: see InContextAgents::act for
  /// errors.
  void act(std::span<const float> observation, std::span<float> action, Rng& rng) { act(observation, {}, action, rng); }
  /// `allowed`: one byte per action of a Discrete space, 0 = forbidden; empty allows all.
  void act(std::span<const float> observation, std::span<const std::uint8_t> allowed, std::span<float> action,
           Rng& rng) {
    act(observation, {}, allowed, action, rng);
  }
  /// With the numbers of the layout's extra features, one after another.
  void act(std::span<const float> observation, std::span<const float> extra_features,
           std::span<const std::uint8_t> allowed, std::span<float> action, Rng& rng) {
    static constexpr int only[] = {0};
    group_.act({.members = only, .observations = observation, .masks = allowed, .extra_features = extra_features},
               action, {&rng, 1});
  }
  /// Records the result of an action, or another agent's step; see InContextAgents::learn.
  void learn(const Transition& transition) { group_.learn(0, transition); }

  /// Forgets everything, for a new task.
  void reset() { group_.reset(0); }

  /// The model's outputs for the last observation (act() must have been called): logits, or means and logarithms of
  /// standard deviations, followed by outputs that are not for actions, such as a value.
  [[nodiscard]] std::span<const Scalar> outputs() const { return group_.outputs(0); }
  /// True between act() and its learn(); it is saved and restored with the memory.
  [[nodiscard]] bool awaits_learn() const { return group_.awaits_learn(0); }
  /// Whether the agent's next observation is the first one of an episode.
  [[nodiscard]] bool at_episode_start() const { return group_.at_episode_start(0); }
  /// Steps in the window on which the agent acts.
  [[nodiscard]] int remembered_steps() const { return group_.remembered_steps(0); }
  /// The model, which the agent does not own.
  [[nodiscard]] const M& model() const { return group_.model(); }

  /// All that the agent remembers; a copy is a snapshot. See InContextAgents for which agents can restore it.
  [[nodiscard]] const State& state() const { return group_.state(0); }
  /// Restores a snapshot; see InContextAgents::set_state.
  void set_state(const State& state) { group_.set_state(0, state); }
  /// Exchanges the memory for `state` without copying; see InContextAgents::swap_state.
  void swap_state(State& state) { group_.swap_state(0, state); }

  /// Writes the memory to a file, atomically; see agent_memory_file.hpp.
  void save(const std::filesystem::path& path) const requires HasWeights<M> { group_.save(path); }
  /// Restores what `save` wrote; see InContextAgents::restore.
  void restore(const std::filesystem::path& path) requires HasWeights<M> { group_.restore(path); }

private:
  InContextAgents<M> group_;
};

}  // namespace icrl
