// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/byte_stream.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/model/concepts.hpp>
#include <icrl/model/context_policy.hpp>

namespace icrl {

/// The memory of one endless stream, exact at every step. A model with a maximum stream length gets several contexts,
/// opened one after another as ContextPolicy says, all of which take every row; the oldest acts and is evicted when it
/// is full. So the acting context is always the plain model over one contiguous window, which began `acting_steps()`
/// rows ago with a row without a previous action. (Dropping the oldest keys and values of a single context would not be
/// exact, because the remaining ones were computed while attending to them.) A model without a maximum gets one
/// context, which is never evicted.
///
/// With share = max_length / context_count rounded up, at least max_length - share rows are remembered after the first
/// context was full. Subtract the longest episode if windows start at episode starts, and 1 if there are closing rows.
///
/// This class does not run the model itself. For every row of the stream:
///
///     const int count = contexts.prepare();                          // 0 except in rare cases
///     for (int t = 0; t < count; ++t) run contexts.refill(t);        // one pass each
///     write the row to contexts.next_row(flags);
///     contexts.add_inputs(inputs);                                   // then one pass over all inputs
///
/// A value: a copy is a snapshot. A moved-from object can only be assigned to or destroyed.
template <Streaming M>
class StaggeredContexts {
public:
  using State = typename M::State;
  using Input = StreamInput<State>;  ///< a context's next row

  /// The model must outlive the contexts. More contexts cost more work (count times that of one) and remember longer;
  /// a model without a maximum stream length has one, whatever `context_count` says.
  explicit StaggeredContexts(const M& model, int context_count = 2)
      : StaggeredContexts{std::move(side_by_side(model, 1, context_count).front())} {}

  explicit StaggeredContexts(const M&&, int = 2) = delete;

  /// The contexts of `count` streams, which lie side by side in memory.
  [[nodiscard]] static std::vector<StaggeredContexts> side_by_side(const M& model, int count, int context_count) {
    const ContextPolicy policy = policy_for(model, context_count);
    const auto stream_count = static_cast<std::size_t>(count), each = static_cast<std::size_t>(policy.context_count);
    std::vector<State> states = model.make_states(stream_count * each);
    std::vector<StaggeredContexts> streams;
    streams.reserve(stream_count);
    for (auto next = states.begin(); next != states.end(); next += policy.context_count) {
      const auto end = next + policy.context_count;
      streams.push_back(
          StaggeredContexts{model, policy, std::vector<State>(std::move_iterator{next}, std::move_iterator{end})});
    }
    return streams;
  }

  /// The model, which it does not own.
  [[nodiscard]] const M& model() const { return *model_; }
  /// The most contexts that are open at once; 1 for a model without a maximum stream length.
  [[nodiscard]] int context_count() const { return policy_.context_count; }

  /// Rows in the acting window, including closing rows; at most the largest int.
  [[nodiscard]] int acting_steps() const {
    constexpr std::int64_t largest = std::numeric_limits<int>::max();
    return open_count_ == 0 ? 0 : static_cast<int>(std::min(length(0), largest));
  }

  void clear() {
    while (open_count_ > 0) evict();
    episode_length_ = 0;
  }

  /// Throws Error if no context can take a row with these flags (see StepFlag); changes nothing. Call it before
  /// `prepare`.
  void check_capacity(int flags) const {
    const bool is_stuck = open_count_ == 0 || (open_count_ == 1 && policy_.is_full(length(0)));
    if (!is_stuck || can_refill() || may_begin(flags)) return;
    fail(
        "in-context agents: an episode has outgrown the context of {} steps, and the model was trained on windows that "
        "start at episode starts, so that none can be opened inside it; train with a context as long as an episode, or "
        "with WindowStart::anywhere",
        *policy_.max_length);
  }

  /// Evicts the oldest context if it is full. If that leaves no context, opens an empty one and returns how many rows
  /// of the last episode must be fed to it again, else 0.
  [[nodiscard]] int prepare() {
    if (open_count_ > 0 && policy_.is_full(length(0))) evict();
    if (open_count_ > 0 || !can_refill()) return 0;
    ++open_count_;
    write_first_row(0);
    return episode_length_;
  }
  /// Input t of these rows; run them in order, each in a separate pass, before calling next_row().
  [[nodiscard]] Input refill(int t) {
    return {&context(0), t == 0 ? first_row_.data() : row(t).data(), /*wants_output*/ false};
  }

  /// Where to write the row with these flags: (F), in the model's layout.
  [[nodiscard]] std::span<float> next_row(int flags) {
    ICRL_ASSERT(open_count_ > 0 || may_begin(flags),
                "next_row: no context can take this row (call check_capacity() first)");
    if (!keeps_episode()) return row(row_ = 0);
    if ((flags & StepFlag::episode_start) != 0) episode_length_ = 0;
    row_ = episode_length_;
    if (episode_length_ < *policy_.max_length) ++episode_length_;
    return row(row_);
  }

  /// Appends an input for every context that takes the row, the acting one first. Adds none for a closing row if no
  /// context is open. Run the inputs before calling `prepare` again.
  void add_inputs(std::vector<Input>& inputs) {
    const std::int64_t youngest_length = open_count_ > 0 ? length(open_count_ - 1) : 0;
    if (policy_.opens_at(static_cast<int>(row(row_).back()), open_count_, youngest_length)) {
      ++open_count_;
      write_first_row(row_);
    }
    for (int age = 0; age < open_count_; ++age) {
      State& state = context(age);
      inputs.push_back({&state, state.length() == 0 ? first_row_.data() : row(row_).data(), age == 0});
    }
  }

  /// Bytes: i32 contexts, i32 open ones, the state of each open one, the oldest first, i32 rows of the last episode and
  /// the rows, if windows start at episode starts.
  void save(ByteWriter& out) const {
    out.value(context_count());
    out.value(open_count_);
    for (int age = 0; age < open_count_; ++age) context(age).save(out);
    out.value(episode_length_);
    out.values(episode_rows());
  }

  /// Takes over what `save` wrote, for the same model and number of contexts. After an Error the contexts must be
  /// cleared.
  void restore(ByteReader& in) {
    clear();
    (void)in.value_in("number of contexts", context_count(), context_count());
    const int open_count = in.value_in("number of open contexts", 0, context_count());
    for (int age = 0; age < open_count; ++age) {
      ++open_count_;
      context(age).restore(in);
      if (length(age) < 1) fail("{}: context {} is open, but holds no steps", in.what(), age);
      if (age > 0 && length(age) >= length(age - 1)) {
        fail("{}: context {} holds {} steps, but context {}, which was opened before it, holds {}: it must hold more",
             in.what(), age, length(age), age - 1, length(age - 1));
      }
    }
    episode_length_ = in.value_in("rows of the last episode", 0, keeps_episode() ? *policy_.max_length : 0);
    in.values(episode_rows());
    for (int t = 0; t < episode_length_; ++t) check_row(t, in.what());
  }

private:
  StaggeredContexts(const M& model, const ContextPolicy& policy, std::vector<State> contexts)
      : model_{&model}, policy_{policy}, contexts_{std::move(contexts)}, first_row_(row_size()) {
    // Of an episode that fills the context the next row lies behind those that are kept.
    rows_.resize(row_size() * (keeps_episode() ? static_cast<std::size_t>(*policy.max_length) + 1 : 1));
  }

  [[nodiscard]] static ContextPolicy policy_for(const M& model, int context_count) {
    ContextPolicy policy{.max_length = model.max_stream_length(), .window_start = window_start_of(model)};
    if (policy.max_length) policy.context_count = context_count;
    validate(policy);
    return policy;
  }

  /// The open contexts are in a ring, ordered by age (0 is the oldest), followed by the unused ones.
  [[nodiscard]] std::size_t slot(int age) const { return static_cast<std::size_t>((oldest_ + age) % context_count()); }
  [[nodiscard]] State& context(int age) { return contexts_[slot(age)]; }
  [[nodiscard]] const State& context(int age) const { return contexts_[slot(age)]; }
  [[nodiscard]] std::int64_t length(int age) const { return context(age).length(); }

  void evict() {
    context(0).clear();
    oldest_ = (oldest_ + 1) % context_count();
    --open_count_;
  }

  /// Whether a row with these flags needs no open context: a context may begin with it, or it may be dropped.
  [[nodiscard]] bool may_begin(int flags) const {
    return policy_.starts_anywhere() || (flags & (StepFlag::episode_start | StepFlag::closing)) != 0;
  }

  /// Only contexts that begin at episode starts may have to be fed the last episode again.
  [[nodiscard]] bool keeps_episode() const { return !policy_.starts_anywhere(); }
  /// Whether the last episode leaves room for another row.
  [[nodiscard]] bool can_refill() const { return episode_length_ > 0 && episode_length_ < *policy_.max_length; }

  [[nodiscard]] std::size_t row_size() const { return static_cast<std::size_t>(model_->layout.feature_count()); }
  [[nodiscard]] std::span<float> row(int t) {
    return std::span{rows_}.subspan(static_cast<std::size_t>(t) * row_size(), row_size());
  }
  [[nodiscard]] std::span<float> episode_rows() { return std::span{rows_}.first(episode_rows_size()); }
  [[nodiscard]] std::span<const float> episode_rows() const { return std::span{rows_}.first(episode_rows_size()); }
  [[nodiscard]] std::size_t episode_rows_size() const { return keeps_episode() ? rows_.size() - row_size() : 0; }

  void write_first_row(int t) {
    std::copy_n(row(t).data(), row_size(), first_row_.data());
    model_->layout.forget_previous(first_row_);
  }

  /// Checks a row from a file, so that the model does not read outside its tables.
  void check_row(int t, const std::string& what) {
    const StepLayout& layout = model_->layout;
    const std::span<float> checked = row(t);
    const bool has_flags = contains(Discrete{StepFlag::count}, checked.last(1));
    const bool has_previous = has_flags && (static_cast<int>(checked.back()) & StepFlag::no_previous) == 0;
    const float reward = checked[static_cast<std::size_t>(layout.reward_offset())];
    const std::span<float> extra = layout.extra_features_of(checked);
    const bool has_finite_extras =
        std::all_of(extra.begin(), extra.end(), [](float number) { return std::isfinite(number); });
    if (!has_flags || !std::isfinite(reward) || !has_finite_extras ||
        !contains(layout.observation_space, layout.observation_of(checked)) ||
        (has_previous && !contains(layout.action_space, layout.previous_action_of(checked))))
      fail("{}: row {} of the last episode, ({}), does not fit the model's layout", what, t, shortened(checked));
    if (!has_previous) layout.forget_previous(checked);
  }

  const M* model_;
  ContextPolicy policy_;
  std::vector<State> contexts_;
  int oldest_ = 0, open_count_ = 0;
  std::vector<float> rows_;       // the last row, or all rows of the last episode and the one behind a full one
  std::vector<float> first_row_;  // a row as a context that begins with it sees it
  int row_ = 0;                   // which of them came last
  int episode_length_ = 0;        // rows of the last episode that are kept; at the context's length it may have more
};

}  // namespace icrl
