// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <icrl/agent/agent_checks.hpp>
#include <icrl/core/assert.hpp>
#include <icrl/core/byte_stream.hpp>
#include <icrl/history/step_stream.hpp>
#include <icrl/learner/learner.hpp>
#include <icrl/model/staggered_contexts.hpp>

namespace icrl {

/// Everything that one agent remembers, as a value. A copy is a snapshot, which any agent over the same model object
/// can take over. Assigning to an existing copy of the same agent allocates nothing.
///
/// It records what happens and lists the inputs that the model must run, but runs nothing itself. See StaggeredContexts
/// for `prepare`, `refill` and the order of calls.
template <Streaming M>
class AgentState {
public:
  /// A row that the model has to see: the state of a context, and the row's features.
  using Input = typename StaggeredContexts<M>::Input;

  /// An empty memory. `contexts` are those of a fresh stream.
  explicit AgentState(StaggeredContexts<M> contexts)
      : stream_{contexts.model().layout},
        contexts_{std::move(contexts)},
        closing_row_(static_cast<std::size_t>(stream_.layout().feature_count())) {}

  /// The states of `count` new agents, which lie side by side in memory.
  [[nodiscard]] static std::vector<AgentState> side_by_side(const M& model, int count, int context_count) {
    std::vector<AgentState> states;
    states.reserve(static_cast<std::size_t>(count));
    for (StaggeredContexts<M>& contexts : StaggeredContexts<M>::side_by_side(model, count, context_count))
      states.push_back(AgentState{std::move(contexts)});
    return states;
  }

  /// The model that the memory belongs to.
  [[nodiscard]] const M& model() const { return contexts_.model(); }
  /// Contexts that are kept at most; see StaggeredContexts.
  [[nodiscard]] int context_count() const { return contexts_.context_count(); }
  /// Whether the agent has acted and waits for learn() with the result of its action.
  [[nodiscard]] bool awaits_learn() const { return awaits_learn_; }
  /// Whether the agent's next observation is the first one of an episode.
  [[nodiscard]] bool at_episode_start() const { return stream_.state().phase.at_episode_start(); }
  /// Rows of the window on which the agent acts.
  [[nodiscard]] int remembered_steps() const { return contexts_.acting_steps(); }
  /// Whether the model has not seen the closing row of the last episode yet; it comes before the next observation.
  [[nodiscard]] bool has_closing_row() const { return has_closing_row_; }

  /// Forgets everything.
  void clear() {
    stream_.reset();
    contexts_.clear();
    awaits_learn_ = has_closing_row_ = false;
  }

  /// Throws Error if no context can take the next observation; changes nothing.
  void check_capacity() const { contexts_.check_capacity(stream_.state().phase.flags()); }

  /// Before each row: how many inputs must be run first, and which.
  [[nodiscard]] int prepare() { return contexts_.prepare(); }
  /// Input t of those, 0 .. prepare() - 1; run them in order, one pass each.
  [[nodiscard]] Input refill(int t) { return contexts_.refill(t); }

  /// Adds the inputs that show the model the closing row.
  void add_closing_row(std::vector<Input>& inputs) {
    ICRL_ASSERT(has_closing_row_, "add_closing_row: this agent has no closing row");
    const std::span<float> row = contexts_.next_row(StepFlag::closing);
    std::copy(closing_row_.begin(), closing_row_.end(), row.begin());
    has_closing_row_ = false;
    contexts_.add_inputs(inputs);
  }

  /// Adds the inputs that show the model an observation, the layout's extra features, and the last action and reward.
  void add_observation(std::span<const float> observation, std::span<const float> extra_features,
                       std::vector<Input>& inputs) {
    ICRL_ASSERT(!has_closing_row_, "add_observation: call add_closing_row() first");
    stream_.observe(observation, extra_features, contexts_.next_row(stream_.state().phase.flags()));
    awaits_learn_ = true;
    contexts_.add_inputs(inputs);
  }

  /// Records the result of an action; the model sees it in later rows.
  void record(const Transition& transition) {
    const bool has_ended = transition.ends_episode();
    stream_.record(transition.action, transition.reward, has_ended);
    awaits_learn_ = false;
    if (!has_ended || !stream_.layout().closing_token) return;
    stream_.close(transition.next_observation, closing_row_);
    has_closing_row_ = true;
  }

  /// Bytes:
  ///   1. u8 awaits learn (an act waits for it), u8 at an episode's start, u8 has a previous action
  ///   2. f32s previous action, f32 previous reward
  ///   3. u8 has a closing row to see, f32s closing row (if not: unused)
  ///   4. the contexts, see StaggeredContexts::save
  void save(ByteWriter& out) const {
    const StepStream::State& state = stream_.state();
    for (const bool flag : {awaits_learn_, state.phase.at_episode_start(), state.phase.has_previous()})
      out.value(std::uint8_t{flag});
    out.values(std::span{state.previous_action});
    out.value(state.previous_reward);
    out.value(std::uint8_t{has_closing_row_});
    out.values(std::span{closing_row_});
    contexts_.save(out);
  }

  /// Takes over what `save` wrote, for the same model and number of contexts. Throws Error, which names the member, for
  /// values that no agent could remember; after that the state must be cleared.
  void restore(ByteReader& in, const detail::AgentChecks& checks, int member) {
    const auto flag = [&](const char* name) { return in.value_in<std::uint8_t>(name, 0, 1) != 0; };
    StepStream::State state = stream_.state();
    awaits_learn_ = flag("state of the last action");
    const bool at_episode_start = flag("episode state"), has_previous = flag("state of the previous action");
    state.phase = {at_episode_start, has_previous};
    in.values(std::span{state.previous_action});
    state.previous_reward = in.value<float>();
    if (has_previous) checks.check_action(state.previous_action, member);
    check_finite(state.previous_reward, "previous reward", in);
    stream_.restore(std::move(state));

    has_closing_row_ = flag("state of the closing row");
    in.values(std::span{closing_row_});
    if (has_closing_row_) check_closing_row(in, checks, member);
    contexts_.restore(in);
  }

private:
  static void check_finite(float reward, const char* name, const ByteReader& in) {
    if (!std::isfinite(reward)) fail("{}: {} is {}, it must be finite", in.what(), name, reward);
  }

  void check_closing_row(const ByteReader& in, const detail::AgentChecks& checks, int member) {
    const StepLayout& layout = stream_.layout();
    const std::span row{closing_row_};
    if (!layout.closing_token)
      fail("{}: has a closing row, but the model's layout has none (closing_token is false)", in.what());
    if (awaits_learn_ || !stream_.at_episode_start())
      fail("{}: has a closing row, which ends an episode, but its episode has not ended (was it written by icrl?)",
           in.what());
    check_finite(row[static_cast<std::size_t>(layout.reward_offset())], "reward of the closing row", in);
    checks.check_observation(layout.observation_of(row), member);
    checks.check_action(layout.previous_action_of(row), member);
    const std::span<float> extra = layout.extra_features_of(row);
    std::fill(extra.begin(), extra.end(), 0.0f);
    row.back() = StepFlag::closing;
  }

  StepStream stream_;
  StaggeredContexts<M> contexts_;
  std::vector<float> closing_row_;  // of the episode that ended last, if the model has not seen it yet
  bool has_closing_row_ = false;
  bool awaits_learn_ = false;  // between an act and the learn that follows it
};

}  // namespace icrl
