// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <icrl/core/byte_stream.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/core/function_ref.hpp>
#include <icrl/model/concepts.hpp>

namespace icrl {

/// The memory of one endless stream over a model whose context is finite, exact at every step: a few contexts, opened
/// one after another, all of which take every step; the eldest acts and is given up when it is full. So what acts is
/// always the plain model over one contiguous window, which `acting_steps()` steps ago began with a row that has no
/// past. (Dropping the oldest keys and values of a single context would not be exact: what is left was computed while
/// looking at them.)
///
/// Each context has a share of the model's T steps, T / count rounded up. Where windows begin follows how the model was
/// trained:
/// - WindowStart::anywhere: a context opens as soon as the one before it holds its share. Once there, memory never
/// falls
///   below T - share steps.
/// - WindowStart::episode: a context opens at the first episode start after that. With episodes of at most H rows
/// memory
///   never falls below T - share - H steps. Where uneven episodes leave no younger context when the eldest is full, the
///   last episode is fed again to an empty one, which takes as many passes as it has steps. An episode that outgrows
///   the context is an Error.
/// A closing row opens nothing, since a window that begins with it has nothing to say; so where there are closing rows
/// memory may fall one step further.
///
/// What was moved from can be assigned to or destroyed, no more.
template <Streaming M>
class StaggeredMemory {
public:
  using KeyValueCache = typename M::KeyValueCache;
  using Lane = typename M::Lane;

  /// The model must outlive the memory. More contexts cost more work (count times that of one) and remember longer.
  explicit StaggeredMemory(const M& model, int context_count = 2)
      : StaggeredMemory{
            model, (expect_enough(model, context_count), model.make_caches(static_cast<std::size_t>(context_count)))} {}

  explicit StaggeredMemory(const M&&, int = 2) = delete;

  /// The memories of `count` streams, which lie side by side.
  [[nodiscard]] static std::vector<StaggeredMemory> side_by_side(const M& model, int count, int context_count) {
    expect_enough(model, context_count);
    const auto stream_count = static_cast<std::size_t>(count), each = static_cast<std::size_t>(context_count);
    std::vector<KeyValueCache> contexts = model.make_caches(stream_count * each);
    std::vector<StaggeredMemory> memories;
    memories.reserve(stream_count);
    for (auto next = contexts.begin(); next != contexts.end(); next += context_count) {
      memories.push_back(StaggeredMemory{
          model, std::vector<KeyValueCache>(std::move_iterator{next}, std::move_iterator{next + context_count})});
    }
    return memories;
  }

  [[nodiscard]] int context_count() const { return static_cast<int>(contexts_.size()); }

  /// Steps in the window that acts, closing rows included.
  [[nodiscard]] int acting_steps() const { return open_count_ == 0 ? 0 : context(0).length(); }

  void clear() {
    while (open_count_ > 0) retire();
    episode_length_ = 0;
  }

  /// Throws Error if a row with these flags (see StepFlag) finds no context to go to; changes nothing.
  void check_room(int flags) const {
    const bool is_stuck = open_count_ == 0 || (open_count_ == 1 && is_full(context(0)));
    if (!is_stuck || is_free() || can_refill() || (flags & (StepFlag::episode_start | StepFlag::closing)) != 0) return;
    fail(
        "stream memory: an episode has outgrown the context of {} steps, and the model was trained on windows that "
        "start at episode starts, so that none can be opened inside it; train with a context as long as an episode, or "
        "with WindowStart::anywhere",
        model_->config.context);
  }

  /// Makes room for a step and adds a lane for every context that takes it, the acting one first; `model.step` has to
  /// run these lanes before the next call. Lanes that have to be run before that are handed to `run(std::span<const
  /// Lane>)`. No lane is added for a closing row that nobody has room for. Throws as check_room does.
  void add_lanes(std::span<const float> row, std::vector<Lane>& lanes, FunctionRef<void(std::span<const Lane>)> run) {
    const int flags = static_cast<int>(row[static_cast<std::size_t>(model_->layout.flag_offset())]);
    check_room(flags);
    if (open_count_ > 0 && is_full(context(0))) retire();
    if (open_count_ == 0 && can_refill()) refill(run);
    if (opens_at(flags)) ++open_count_;
    if (!is_free()) remember_episode(row, flags);

    std::copy(row.begin(), row.end(), row_.begin());
    std::copy(row.begin(), row.end(), first_row_.begin());
    model_->layout.forget_previous(first_row_);
    for (int age = 0; age < open_count_; ++age) {
      KeyValueCache& cache = context(age);
      lanes.push_back({&cache, cache.length() == 0 ? first_row_.data() : row_.data(), age == 0});
    }
  }

  /// Bytes: i32 contexts, i32 open ones, per open one, the eldest first, i32 length and its numbers, i32 rows of the
  /// last episode and the rows, if windows start at episode starts.
  void save(ByteWriter& out) const {
    out.value(context_count());
    out.value(open_count_);
    for (int age = 0; age < open_count_; ++age) {
      out.value(context(age).length());
      out.values(context(age).storage());
    }
    out.value(episode_length_);
    out.values(std::span{episode_});
  }

  /// Takes over what `save` wrote, for the same model and number of contexts. After an Error the memory has to be
  /// cleared.
  void restore(ByteReader& in) {
    clear();
    (void)in.value_in("number of contexts", context_count(), context_count());
    const int open_count = in.value_in("number of open contexts", 0, context_count());
    for (int age = 0; age < open_count; ++age) {
      ++open_count_;
      const int length = in.value_in("length of a context", 1, model_->config.context);
      if (age > 0 && length >= context(age - 1).length()) {
        fail("{}: context {} holds {} steps, but context {}, which was opened before it, holds {}: it must hold more",
             in.what(), age, length, age - 1, context(age - 1).length());
      }
      context(age).set_length(length);
      in.values(context(age).storage());
    }
    episode_length_ = in.value_in("rows of the last episode", 0, is_free() ? 0 : model_->config.context);
    in.values(std::span{episode_});
    for (int t = 0; t < episode_length_; ++t) check_row(t, in.what());
  }

private:
  /// Over empty contexts, as many as expect_enough allows.
  StaggeredMemory(const M& model, std::vector<KeyValueCache> contexts)
      : model_{&model}, contexts_{std::move(contexts)} {
    row_.resize(row_size());
    first_row_.resize(row_size());
    if (!is_free()) episode_.resize(row_size() * static_cast<std::size_t>(model.config.context));
  }

  static void expect_enough(const M& model, int context_count) {
    const WindowStart start = model.config.window_start;
    const int least = start == WindowStart::anywhere ? 1 : 2, most = 1024;
    if (context_count >= least && context_count <= most) return;
    fail("stream memory: {} contexts, it takes {} to {} for windows that start {}", context_count, least, most,
         to_string(start));
  }

  [[nodiscard]] bool is_free() const { return model_->config.window_start == WindowStart::anywhere; }
  [[nodiscard]] bool is_full(const KeyValueCache& cache) const { return cache.length() >= model_->config.context; }
  [[nodiscard]] bool holds_share(const KeyValueCache& cache) const {
    return cache.length() * context_count() >= model_->config.context;
  }

  /// The open contexts by age, 0 the eldest, lie in a ring; behind them the unused ones.
  [[nodiscard]] std::size_t slot(int age) const { return static_cast<std::size_t>((eldest_ + age) % context_count()); }
  [[nodiscard]] KeyValueCache& context(int age) { return contexts_[slot(age)]; }
  [[nodiscard]] const KeyValueCache& context(int age) const { return contexts_[slot(age)]; }

  void retire() {
    context(0).clear();
    eldest_ = (eldest_ + 1) % context_count();
    --open_count_;
  }

  [[nodiscard]] bool opens_at(int flags) const {
    if ((flags & StepFlag::closing) != 0) return false;
    if (open_count_ == 0) return true;
    const bool may_start = is_free() || (flags & StepFlag::episode_start) != 0;
    return may_start && open_count_ < context_count() && holds_share(context(open_count_ - 1));
  }

  [[nodiscard]] std::size_t row_size() const { return static_cast<std::size_t>(model_->layout.feature_count()); }

  /// A row that comes from a file must not lead the model out of its tables.
  void check_row(int t, const std::string& what) {
    const StepLayout& layout = model_->layout;
    const std::span<float> row = std::span{episode_}.subspan(row_size() * static_cast<std::size_t>(t), row_size());
    const bool has_flags = contains(Discrete{StepFlag::count}, row.last(1));
    const bool has_previous = has_flags && (static_cast<int>(row.back()) & StepFlag::no_previous) == 0;
    const float reward = row[static_cast<std::size_t>(layout.reward_offset())];
    if (!has_flags || !std::isfinite(reward) || !contains(layout.observation_space, layout.observation_of(row)) ||
        (has_previous && !contains(layout.action_space, layout.previous_action_of(row))))
      fail("{}: row {} of the last episode, ({}), is no row of the model's layout", what, t, shortened(row));
    if (!has_previous) layout.forget_previous(row);
  }

  void remember_episode(std::span<const float> row, int flags) {
    if ((flags & StepFlag::episode_start) != 0) episode_length_ = 0;
    if (episode_length_ == model_->config.context) return;
    std::copy(row.begin(), row.end(), episode_.begin() + static_cast<std::ptrdiff_t>(row_size()) * episode_length_);
    ++episode_length_;
  }

  /// Whether the last episode leaves room for another row.
  [[nodiscard]] bool can_refill() const { return episode_length_ > 0 && episode_length_ < model_->config.context; }

  [[gnu::noinline]] void refill(FunctionRef<void(std::span<const Lane>)> run) {
    ++open_count_;
    for (std::size_t t = 0; t < static_cast<std::size_t>(episode_length_); ++t) {
      std::copy_n(episode_.begin() + static_cast<std::ptrdiff_t>(t * row_size()), row_size(), row_.begin());
      if (t == 0) model_->layout.forget_previous(row_);
      const Lane lane{&context(0), row_.data(), false};
      run(std::span<const Lane>{&lane, 1});
    }
  }

  const M* model_;
  std::vector<KeyValueCache> contexts_;
  int eldest_ = 0, open_count_ = 0;
  std::vector<float> row_, first_row_;  // the coming step as the open contexts and as a new one see it
  std::vector<float> episode_;          // rows of the last episode, the present one if it goes on; not for free windows
  int episode_length_ = 0;              // at the context's length it may have more
};

}  // namespace icrl
