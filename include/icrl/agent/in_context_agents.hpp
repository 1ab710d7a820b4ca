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

#include <icrl/core/assert.hpp>
#include <icrl/core/checked_file.hpp>
#include <icrl/core/text_difference.hpp>
#include <icrl/env/decoding.hpp>
#include <icrl/env/space_text.hpp>
#include <icrl/history/space_check.hpp>
#include <icrl/history/step_stream.hpp>
#include <icrl/learner/learner.hpp>
#include <icrl/model/fingerprint.hpp>
#include <icrl/model/stream_memory.hpp>

namespace icrl {

/// A group of agents over one frozen model: each learns by remembering what it lived through, no weight ever changes.
/// All members that act are served by one pass over the weights, and each does, bit for bit, what it would do alone.
///
/// `learn` only notes the transition; the model sees it in the next `act`, together with the new observation. That
/// holds for the closing row of an episode as well, if the model has closing tokens: the first `act` of an episode
/// makes two passes. After the first few calls neither allocates.
template <Streaming M>
class InContextAgents {
public:
  using Scalar = typename M::Scalar;

  /// The model must outlive the agents. `context_count`: see StaggeredMemory.
  InContextAgents(const M& model, int member_count, Decoding decoding = {}, int context_count = 2)
      : model_{&model},
        decoding_{decoding},
        observation_check_{model.layout.observation_space},
        action_check_{model.layout.action_space} {
    validate(decoding);
    if (member_count < 1) fail("in-context agents: a group of {} members, it takes 1 or more", member_count);
    members_.reserve(static_cast<std::size_t>(member_count));
    for (StaggeredMemory<M>& memory : StaggeredMemory<M>::side_by_side(model, member_count, context_count))
      members_.push_back({StepStream{model.layout}, std::move(memory), row_of(model.layout)});
    row_ = row_of(model.layout);
    outputs_.setZero(Index{member_count} * context_count, model.actions.parameter_count());
    model.reserve(workspace_, outputs_.rows());
    lanes_.reserve(static_cast<std::size_t>(outputs_.rows()));
    acting_lanes_.reserve(members_.size());
  }
  InContextAgents(const M&&, int, Decoding = {}, int = 2) = delete;

  [[nodiscard]] int member_count() const { return static_cast<int>(members_.size()); }
  [[nodiscard]] const M& model() const { return *model_; }

  /// Throws Error unless these are the spaces that the model was made for.
  void expect_spaces(const Space& observation_space, const Space& action_space) const {
    const StepLayout& ours = model_->layout;
    const std::string differ = difference(ours, StepLayout{observation_space, action_space, ours.closing_token});
    if (differ.empty()) return;
    fail("in-context agents: the model takes {} to {}, but the environment has {} and {} ({})",
         to_short_string(ours.observation_space), to_short_string(ours.action_space),
         to_short_string(observation_space), to_short_string(action_space), differ);
  }

  /// Chooses an action for every member that `group` names. Throws Error, and changes nothing, for an observation
  /// outside its space or not finite, a mask that allows nothing, or an episode that outgrows the model's context.
  /// Outputs that are not finite are an Error, too, after which the agents have to be reset.
  void act(const GroupObservations& group, std::span<float> actions, std::span<Rng> rngs) {
    const auto size = static_cast<std::size_t>(model_->actions.action_size());
    if (actions.size() != group.members.size() * size || rngs.size() < members_.size()) {
      fail("in-context agents: room for {} numbers and {} generators, {} actions take {} and at least {}",
           actions.size(), rngs.size(), group.members.size(), group.members.size() * size, members_.size());
    }
    check(group);
    feed(group.members, group.observations);
    for (std::size_t i = 0; i < group.members.size(); ++i) {
      const auto id = static_cast<std::size_t>(group.members[i]);
      const std::size_t mask_size = group.masks.size() / group.members.size();
      model_->actions.template sample<Scalar>(outputs(static_cast<int>(i)), decoding_,
                                              group.masks.subspan(i * mask_size, mask_size), rngs[id],
                                              actions.subspan(i * size, size));
    }
  }

  /// What the model said, logits or means and log-deviations, to the i-th member that acted last. Throws Error where so
  /// many did not act.
  [[nodiscard]] std::span<const Scalar> outputs(int i) const {
    if (i < 0 || static_cast<std::size_t>(i) >= acting_lanes_.size())
      fail("in-context agents: outputs of acting member {} are wanted, {} acted last", i, acting_lanes_.size());
    const auto row = static_cast<Index>(acting_lanes_[static_cast<std::size_t>(i)]);
    return {&outputs_(row, 0), static_cast<std::size_t>(outputs_.cols())};
  }

  /// Notes what came of an action. The action need not be the one that `act` chose; without an `act` before, the
  /// transition is another's, and the member learns by watching. Throws Error, and changes nothing, for values outside
  /// their spaces or not finite.
  void learn(int member, const Transition& transition) {
    const StepLayout& layout = model_->layout;
    const bool has_ended = transition.ends_episode();
    check_action(transition.action, member);
    if (!std::isfinite(transition.reward))
      fail("in-context agents: member {} is told of a reward of {}", member, transition.reward);
    if (has_ended && layout.closing_token) check_observation(transition.next_observation, member);

    Member& m = at(member);
    if (!m.has_observed) {
      const int watching[] = {member};
      check({.members = watching, .observations = transition.observation, .masks = {}});
      feed(watching, transition.observation);
    }
    m.stream.record(transition.action, transition.reward, has_ended);
    m.has_observed = false;
    if (!has_ended || !layout.closing_token) return;
    m.stream.close(transition.next_observation, m.closing_row);
    m.has_closing_row = true;
  }

  /// Forgets everything: the member meets a new task.
  void reset(int member) {
    Member& m = at(member);
    m.stream.reset();
    m.memory.clear();
    m.has_observed = m.has_closing_row = false;
  }

  /// Whether the member has acted and waits for the learn() that tells what came of it. If not, its next call is act(),
  /// or learn() to watch another one: what a program has to know that goes on with restored agents.
  [[nodiscard]] bool awaits_learn(int member) const { return at(member).has_observed; }
  /// Steps in the window that the member acts by.
  [[nodiscard]] int remembered_steps(int member) const { return at(member).memory.acting_steps(); }

  /// Writes what all members remember, atomically. Payload of the CheckedFile:
  ///   1. text fingerprint of the model, i32 number of members, then for each member:
  ///   2. u8 has observed (an act still waits for its learn), u8 at an episode's start, u8 has a previous action
  ///   3. f32s previous action, f32 previous reward
  ///   4. u8 has a closing row to see, f32s closing row (if not: unused)
  ///   5. the contexts, see StaggeredMemory::save
  void save(const std::filesystem::path& path) const {
    ByteWriter out;
    out.text(fingerprint(*model_));
    out.value(member_count());
    for (const Member& m : members_) save(m, out);
    write_checked_file(path, file_kind, out.bytes());
  }

  /// Goes on, bit for bit, where `save` was called. Throws Error, and changes nothing, for a damaged file or one of
  /// another model.
  void restore(const std::filesystem::path& path) {
    const CheckedFile file{path, file_kind};
    ByteReader in = file.reader();
    const std::string theirs = in.text(), ours = fingerprint(*model_);
    if (theirs != ours) {
      const TextDifference found = text_difference(theirs, ours);
      fail("{}: was made with another model ({}); this one is ({})", in.what(), found.one, found.other);
    }
    (void)in.value_in("number of members", member_count(), member_count());
    auto restored = members_;
    for (int i = 0; i < member_count(); ++i) restore(restored[static_cast<std::size_t>(i)], i, in);
    in.expect_end();
    std::copy(restored.begin(), restored.end(), members_.begin());  // their memories go on lying side by side
  }

private:
  struct Member {
    StepStream stream;
    StaggeredMemory<M> memory;
    std::vector<float> closing_row;  // of the episode that ended last, if the model has not seen it yet
    bool has_closing_row = false;
    bool has_observed = false;  // between an act and the learn that follows it
  };
  static constexpr CheckedFileKind file_kind{.magic = "icrlmem", .name = "agent memory", .version = 2};

  static std::vector<float> row_of(const StepLayout& layout) {
    return std::vector<float>(static_cast<std::size_t>(layout.feature_count()));
  }
  [[nodiscard]] Member& at(int member) { return const_cast<Member&>(std::as_const(*this).at(member)); }
  [[nodiscard]] const Member& at(int member) const {
    ICRL_ASSERT(member >= 0 && member < member_count(), "in-context agents: no such member");
    return members_[static_cast<std::size_t>(member)];
  }

  void check(const GroupObservations& group) const {
    const auto size = static_cast<std::size_t>(model_->layout.observation_size());
    if (group.observations.size() != group.members.size() * size) {
      fail("in-context agents: {} numbers are observed, {} observations in {} are {}", group.observations.size(),
           group.members.size(), to_short_string(model_->layout.observation_space), group.members.size() * size);
    }
    for (std::size_t i = 0; i < group.members.size(); ++i) {
      const int member = group.members[i];
      const Member& m = at(member);
      ICRL_ASSERT(std::find(group.members.begin(), group.members.begin() + static_cast<std::ptrdiff_t>(i), member) ==
                      group.members.begin() + static_cast<std::ptrdiff_t>(i),
                  "act: a member is named twice");
      ICRL_ASSERT(!m.has_observed, "act: learn() has to tell what came of the last action first");
      check_observation(group.observations.subspan(i * size, size), member);
      m.memory.check_room(m.stream.at_episode_start() ? StepFlag::episode_start : 0);
    }
    const std::size_t mask_size = group.members.empty() ? 0 : group.masks.size() / group.members.size();
    if (!group.masks.empty() &&
        (!std::holds_alternative<Discrete>(model_->layout.action_space) ||
         group.masks.size() != group.members.size() * static_cast<std::size_t>(model_->actions.parameter_count()))) {
      fail("in-context agents: masks of {} bytes for {} members whose actions are {}", group.masks.size(),
           group.members.size(), to_short_string(model_->layout.action_space));
    }
    for (std::size_t i = 0; mask_size > 0 && i < group.members.size(); ++i) {
      const auto mask = group.masks.subspan(i * mask_size, mask_size);
      if (std::none_of(mask.begin(), mask.end(), [](std::uint8_t allowed) { return allowed != 0; }))
        fail("in-context agents: the action mask of member {} allows nothing", group.members[i]);
    }
  }

  void check_observation(std::span<const float> observation, int member) const {
    if (observation_check_.contains(observation)) return;
    fail("in-context agents: member {} observes {}", member,
         describe_outside(observation, model_->layout.observation_space));
  }
  void check_action(std::span<const float> action, int member) const {
    if (action_check_.contains(action)) return;
    fail("in-context agents: member {} is told of action {}", member,
         describe_outside(action, model_->layout.action_space));
  }

  static void save(const Member& m, ByteWriter& out) {
    const StepStream::State& state = m.stream.state();
    for (const bool flag : {m.has_observed, state.phase.at_episode_start(), state.phase.has_previous()})
      out.value(std::uint8_t{flag});
    out.values(std::span{state.previous_action});
    out.value(state.previous_reward);
    out.value(std::uint8_t{m.has_closing_row});
    out.values(std::span{m.closing_row});
    m.memory.save(out);
  }

  void restore(Member& m, int member, ByteReader& in) const {
    const StepLayout& layout = m.stream.layout();
    const auto flag = [&](const char* name) { return in.value_in<std::uint8_t>(name, 0, 1) != 0; };
    StepStream::State state = m.stream.state();
    m.has_observed = flag("state of the last action");
    const bool at_episode_start = flag("episode state"), has_previous = flag("state of the previous action");
    state.phase = {at_episode_start, has_previous};
    in.values(std::span{state.previous_action});
    state.previous_reward = in.value<float>();
    if (has_previous) check_action(state.previous_action, member);
    expect_finite(state.previous_reward, "previous reward", in);
    m.stream.restore(std::move(state));

    m.has_closing_row = flag("state of the closing row");
    const std::span row{m.closing_row};
    in.values(row);
    if (m.has_closing_row) {
      if (!layout.closing_token) fail("{}: has a closing row, but the model knows none", in.what());
      expect_finite(row[static_cast<std::size_t>(layout.reward_offset())], "reward of the closing row", in);
      check_observation(layout.observation_of(row), member);
      check_action(layout.previous_action_of(row), member);
      row.back() = StepFlag::closing;
    }
    m.memory.restore(in);
  }

  static void expect_finite(float reward, const char* name, const ByteReader& in) {
    if (!std::isfinite(reward)) fail("{}: {} is {}", in.what(), name, reward);
  }

  /// Lets the model see one row of each of these members, after the closing rows that it has not seen yet.
  void feed(std::span<const int> members, std::span<const float> observations) {
    const auto run = [this](std::span<const typename M::Lane> lanes) { run_lanes(lanes); };
    lanes_.clear();
    for (const int member : members) {
      Member& m = at(member);
      if (m.has_closing_row) m.memory.add_lanes(m.closing_row, lanes_, run);
      m.has_closing_row = false;
    }
    if (!lanes_.empty()) run(lanes_);

    lanes_.clear();
    acting_lanes_.clear();
    const auto size = static_cast<std::size_t>(model_->layout.observation_size());
    for (std::size_t i = 0; i < members.size(); ++i) {
      Member& m = at(members[i]);
      m.stream.observe(observations.subspan(i * size, size), row_);
      m.has_observed = true;
      acting_lanes_.push_back(lanes_.size());
      m.memory.add_lanes(row_, lanes_, run);
    }
    if (!lanes_.empty()) run(lanes_);
  }

  [[gnu::noinline]] void run_lanes(std::span<const typename M::Lane> lanes) {
    const auto rows = static_cast<Index>(lanes.size());
    model_->step(lanes, workspace_, outputs_.topRows(rows));
    for (Index i = 0; i < rows; ++i) {
      if (lanes[static_cast<std::size_t>(i)].acts && !is_finite_row(i))
        fail("in-context agents: the model's outputs are not finite (its weights, or a huge observation or reward?)");
    }
  }

  [[nodiscard]] bool is_finite_row(Index i) const {
    const Scalar* const row = row_data(outputs_, i);
    return std::all_of(row, row + outputs_.cols(), [](Scalar output) { return std::isfinite(output); });
  }

  const M* model_;
  Decoding decoding_;
  SpaceCheck observation_check_, action_check_;
  std::vector<Member> members_;
  typename M::StreamWorkspace workspace_;
  Matrix<Scalar> outputs_;  // a row per lane of the last pass
  std::vector<typename M::Lane> lanes_;
  std::vector<std::size_t> acting_lanes_;
  std::vector<float> row_;
};

}  // namespace icrl
