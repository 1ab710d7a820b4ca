// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <span>
#include <utility>
#include <vector>

#include <icrl/agent/agent_checks.hpp>
#include <icrl/agent/agent_memory_file.hpp>
#include <icrl/agent/agent_state.hpp>
#include <icrl/core/assert.hpp>
#include <icrl/env/decoding.hpp>
#include <icrl/learner/learner.hpp>

namespace icrl {

/// A group of agents over one frozen model: each learns from the history in its context, and no weight ever changes.
/// One pass over the weights serves all members that act, and each acts exactly as it would alone, bit for bit.
///
/// `learn` only records the transition; the model sees it in the next `act`, together with the new observation. This
/// includes the closing row of an episode, if the model has closing tokens: the first `act` of an episode then makes
/// two passes. After the first few calls neither allocates.
template <Streaming M>
class InContextAgents {
public:
  using Scalar = typename M::Scalar;
  using State = AgentState<M>;

  /// The model must outlive the agents. `context_count`: see StaggeredContexts.
  InContextAgents(const M& model, int member_count, Decoding decoding = {}, int context_count = 2)
      : model_{&model}, decoding_{decoding}, checks_{model.layout} {
    validate(decoding);
    if (member_count < 1) fail("in-context agents: member_count is {}, it must be at least 1", member_count);
    states_ = State::side_by_side(model, member_count, context_count);
    outputs_.setZero(Index{member_count} * states_.front().context_count(), output_count_of(model));
    model.reserve(workspace_, outputs_.rows());
    inputs_.reserve(static_cast<std::size_t>(outputs_.rows()));
    acting_inputs_.reserve(states_.size());
  }
  InContextAgents(const M&&, int, Decoding = {}, int = 2) = delete;

  [[nodiscard]] int member_count() const { return static_cast<int>(states_.size()); }
  /// The model, which the agents do not own.
  [[nodiscard]] const M& model() const { return *model_; }

  /// Throws Error unless these are the spaces that the model was made for.
  void check_spaces(const Space& observation_space, const Space& action_space) const {
    checks_.check_spaces(observation_space, action_space);
  }

  /// Chooses an action for every member that `group` names. Throws Error, and changes nothing, for an observation
  /// outside its space or not finite, extra features that are missing or not finite, a mask that allows no action, or
  /// an episode that outgrows the model's context. Outputs that are not finite are also an Error; after that the agents
  /// must be reset.
  void act(const GroupObservations& group, std::span<float> actions, std::span<Rng> rngs) {
    const auto size = static_cast<std::size_t>(model_->actions.action_size());
    if (actions.size() != group.members.size() * size || rngs.size() < states_.size()) {
      fail(
          "in-context agents: actions has {} numbers and rngs {} generators; {} acting members need {} and at least {}",
          actions.size(), rngs.size(), group.members.size(), group.members.size() * size, states_.size());
    }
    check(group);
    feed(group);
    const std::size_t mask_size = group.members.empty() ? 0 : group.masks.size() / group.members.size();
    const auto parameter_count = static_cast<std::size_t>(model_->actions.parameter_count());
    for (std::size_t i = 0; i < group.members.size(); ++i) {
      const auto id = static_cast<std::size_t>(group.members[i]);
      model_->actions.template sample<Scalar>(outputs(static_cast<int>(i)).first(parameter_count), decoding_,
                                              group.masks.subspan(i * mask_size, mask_size), rngs[id],
                                              actions.subspan(i * size, size));
    }
  }

  /// The model's outputs for the i-th member that acted last: logits, or means and logarithms of standard deviations,
  /// followed by outputs that are not for actions, such as a value. Throws Error if fewer acted.
  [[nodiscard]] std::span<const Scalar> outputs(int i) const {
    if (i < 0 || static_cast<std::size_t>(i) >= acting_inputs_.size())
      fail("in-context agents: outputs({}) was called, but only {} members acted last", i, acting_inputs_.size());
    const auto row = static_cast<Index>(acting_inputs_[static_cast<std::size_t>(i)]);
    return {&outputs_(row, 0), static_cast<std::size_t>(outputs_.cols())};
  }

  /// Records the result of an action. The action need not be the one that `act` chose. Without an `act` before it, the
  /// transition belongs to another agent, and the member learns by watching. Throws Error, and changes nothing, for
  /// values outside their spaces or not finite.
  void learn(int member, const Transition& transition) {
    checks_.check_transition(transition, member);
    State& state = at(member);
    if (!state.awaits_learn()) {
      const int watching[] = {member};
      const GroupObservations seen{.members = watching,
                                   .observations = transition.observation,
                                   .masks = {},
                                   .extra_features = transition.extra_features};
      check(seen);
      feed(seen);
    }
    state.record(transition);
  }

  /// Forgets everything: the member meets a new task.
  void reset(int member) { at(member).clear(); }

  /// Whether the member has acted and waits for learn() with the result of its action. If not, its next call is act(),
  /// or learn() to watch another agent. A program that continues with restored agents must know this.
  [[nodiscard]] bool awaits_learn(int member) const { return at(member).awaits_learn(); }
  /// Whether the member's next observation is the first one of an episode.
  [[nodiscard]] bool at_episode_start(int member) const { return at(member).at_episode_start(); }
  /// Steps in the window on which the member acts.
  [[nodiscard]] int remembered_steps(int member) const { return at(member).remembered_steps(); }

  /// All that the member remembers; a copy is a snapshot. `outputs` do not belong to it.
  [[nodiscard]] const State& state(int member) const { return at(member); }
  /// Restores a snapshot of any member of any group over this same model object. The member continues from there, bit
  /// for bit. Allocates nothing. Throws Error, and changes nothing, for a state over another model object or with
  /// another number of contexts.
  void set_state(int member, const State& state) {
    check_origin(state);
    at(member) = state;
  }
  /// Exchanges what the member remembers for `state`, under the same conditions, without copying: for an agent that
  /// alternates between several tasks.
  void swap_state(int member, State& state) {
    check_origin(state);
    std::swap(at(member), state);
  }

  /// Writes what all members remember, atomically; see agent_memory_file.hpp.
  void save(const std::filesystem::path& path) const requires HasWeights<M> {
    write_agent_memory<M>(path, *model_, states_);
  }

  /// Restores what `save` wrote; the agents continue from there, bit for bit. Throws Error, and changes nothing, for a
  /// damaged file or one of another model.
  void restore(const std::filesystem::path& path) requires HasWeights<M> {
    const std::vector<State> restored = read_agent_memory<M>(path, *model_, states_);
    std::copy(restored.begin(), restored.end(), states_.begin());  // their contexts go on lying side by side
  }

private:
  using Input = typename State::Input;

  [[nodiscard]] State& at(int member) { return const_cast<State&>(std::as_const(*this).at(member)); }
  [[nodiscard]] const State& at(int member) const {
    ICRL_ASSERT(member >= 0 && member < member_count(),
                "in-context agents: member must lie in 0 .. member_count() - 1");
    return states_[static_cast<std::size_t>(member)];
  }

  void check_origin(const State& state) const {
    if (&state.model() != model_)
      fail("in-context agents: the state belongs to another model object (use the model that its agents had)");
    if (const int ours = states_.front().context_count(); state.context_count() != ours)
      fail("in-context agents: the state has {} contexts, these agents have {}", state.context_count(), ours);
  }

  void check(const GroupObservations& group) const {
    checks_.check_observations(group);
    checks_.check_masks(group);
    checks_.check_extra_features(group);
    for (auto member = group.members.begin(); member != group.members.end(); ++member) {
      ICRL_ASSERT(std::find(group.members.begin(), member, *member) == member,
                  "act: group.members lists a member twice");
      ICRL_ASSERT(!at(*member).awaits_learn(), "act: call learn() with the result of the last action first");
      at(*member).check_capacity();
    }
  }

  /// Lets the model see one observation of each of these members, after the closing rows that it has not seen yet.
  void feed(const GroupObservations& group) {
    inputs_.clear();
    for (const int member : group.members) {
      State& state = at(member);
      if (!state.has_closing_row()) continue;
      run_refill(state);
      state.add_closing_row(inputs_);
    }
    run(inputs_);

    inputs_.clear();
    acting_inputs_.clear();
    const auto size = static_cast<std::size_t>(model_->layout.observation_size()),
               extra_size = static_cast<std::size_t>(model_->layout.extra_size());
    for (std::size_t i = 0; i < group.members.size(); ++i) {
      State& state = at(group.members[i]);
      run_refill(state);
      acting_inputs_.push_back(inputs_.size());
      state.add_observation(group.observations.subspan(i * size, size),
                            group.extra_features.subspan(i * extra_size, extra_size), inputs_);
    }
    run(inputs_);
  }

  /// Runs the rows that a member's contexts must be fed again before its next row.
  void run_refill(State& state) {
    const int count = state.prepare();
    for (int t = 0; t < count; ++t) {
      const Input input = state.refill(t);
      run({&input, 1});
    }
  }

  /// One pass.
  [[gnu::noinline]] void run(std::span<const Input> inputs) {
    if (inputs.empty()) return;
    model_->step(inputs, workspace_, outputs_.topRows(static_cast<Index>(inputs.size())));
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].wants_output && !is_finite_row(static_cast<Index>(i)))
        fail(
            "in-context agents: the model's outputs are not finite (are its weights damaged, or is an observation or "
            "reward huge?)");
    }
  }

  [[nodiscard]] bool is_finite_row(Index i) const {
    const Scalar* const row = row_data(outputs_, i);
    return std::all_of(row, row + outputs_.cols(), [](Scalar output) { return std::isfinite(output); });
  }

  const M* model_;
  Decoding decoding_;
  detail::AgentChecks checks_;
  std::vector<State> states_;
  typename M::StreamWorkspace workspace_;
  Matrix<Scalar> outputs_;                  // a row per input of the last pass
  std::vector<Input> inputs_;               // of the pass that is put together
  std::vector<std::size_t> acting_inputs_;  // those whose outputs are the members' that acted last
};

}  // namespace icrl
