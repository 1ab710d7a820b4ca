// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <icrl/core/byte_stream.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/model/concepts.hpp>

namespace icrl {

/// The memory of one endless stream over a model whose context is finite, exact at every step: a few contexts, opened one
/// after another, all of which take every step; the eldest acts and is given up when it is full. So what acts is always the
/// plain model over one contiguous window, which `acting_steps()` steps ago began with a row that has no past. (Dropping the
/// oldest keys and values of a single context would not be exact: what is left was computed while looking at them.)
///
/// Each context has a share of the model's T steps, T / count rounded up. Where windows begin follows how the model was trained:
/// - WindowStart::anywhere: a context opens as soon as the one before it holds its share, so that, once there, memory never
///   falls below T - share steps.
/// - WindowStart::episode: only at the first row of an episode. The youngest context opens again at every episode's start until
///   one finds the context before it holding its share, so that there is always one to fall back on. With episodes of at most H
///   steps memory never falls below T - share - H. An episode that outgrows the context is an Error.
/// A closing row opens nothing: a window that begins with it has nothing to say.
template <Streaming M>
class StaggeredMemory {
public:
  using KeyValueCache = typename M::KeyValueCache;
  using Lane = typename M::Lane;

  /// The model must outlive the memory. More contexts cost more work (count times that of one) and remember longer.
  explicit StaggeredMemory(const M& model, int context_count = 2) : model_{&model} {
    const int least = is_free() ? 1 : 2;
    if (context_count < least)
      fail("stream memory: {} contexts, it takes {} or more for windows that start {}", context_count, least,
           is_free() ? "anywhere" : "at episode starts");
    for (int i = 0; i < context_count; ++i) contexts_.push_back(model.make_cache());
    row_.resize(static_cast<std::size_t>(model.layout.feature_count()));
    first_row_ = row_;
  }

  [[nodiscard]] int context_count() const { return static_cast<int>(contexts_.size()); }

  /// Steps in the window that acts, closing rows included.
  [[nodiscard]] int acting_steps() const { return open_count_ == 0 ? 0 : context(0).length(); }

  void clear() {
    while (open_count_ > 0) retire();
  }

  /// Throws Error if a row with these flags (see StepFlag) finds no context to go to; changes nothing.
  void check_room(int flags) const {
    const bool is_last_full = open_count_ == 1 && is_full(context(0));
    if ((open_count_ > 0 && !is_last_full) || is_free() || (flags & (StepFlag::episode_start | StepFlag::closing)) != 0) return;
    fail("stream memory: an episode has outgrown the context of {} steps, and the model was trained on windows that start at episode "
         "starts, so that none can be opened inside an episode; train with a context longer than an episode, or with "
         "WindowStart::anywhere", model_->config.context);
  }

  /// Makes room for a step and adds a lane for every context that takes it, the acting one first; `model.step` has to run these
  /// lanes before the next call. No lane is added for a closing row that nobody can remember. Throws as check_room does.
  void add_lanes(std::span<const float> row, std::vector<Lane>& lanes) {
    const int flags = static_cast<int>(row[static_cast<std::size_t>(model_->layout.flag_offset())]);
    check_room(flags);
    std::copy(row.begin(), row.end(), row_.begin());
    std::copy(row.begin(), row.end(), first_row_.begin());
    model_->layout.forget_previous(first_row_);

    if (open_count_ > 0 && is_full(context(0))) retire();
    if ((flags & StepFlag::closing) == 0) open_youngest((flags & StepFlag::episode_start) != 0);
    for (int age = 0; age < open_count_; ++age) {
      KeyValueCache& cache = context(age);
      lanes.push_back({&cache, cache.length() == 0 ? first_row_.data() : row_.data()});
    }
  }

  void save(ByteWriter& out) const {
    out.value(context_count());
    out.value(open_count_);
    out.value(std::uint8_t{is_youngest_settled_});
    for (int age = 0; age < open_count_; ++age) {
      out.value(context(age).length());
      out.values(context(age).storage());
    }
  }

  /// Takes over what `save` wrote, for the same model and number of contexts. After an Error the memory has to be cleared.
  void restore(ByteReader& in) {
    clear();
    (void)in.value_in("number of contexts", context_count(), context_count());
    const int open_count = in.value_in("number of open contexts", 0, context_count());
    is_youngest_settled_ = in.value_in<std::uint8_t>("state of the youngest context", 0, 1) != 0;
    for (int age = 0; age < open_count; ++age) {
      ++open_count_;
      context(age).set_length(in.value_in("length of a context", 1, age == 0 ? model_->config.context : context(age - 1).length()));
      in.values(context(age).storage());
    }
  }

private:
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
    if (open_count_ <= 1) is_youngest_settled_ = true;
  }

  /// Opens a context that begins with the coming row, if one should.
  void open_youngest(bool is_episode_start) {
    if (open_count_ > 0 && !is_free() && !is_episode_start) return;
    if (!is_youngest_settled_) {
      context(open_count_ - 1).clear();
    } else if (open_count_ < context_count() && (!is_free() || open_count_ == 0 || holds_share(context(open_count_ - 1)))) {
      ++open_count_;
    } else {
      return;
    }
    is_youngest_settled_ = open_count_ == 1 || holds_share(context(open_count_ - 2));
  }

  const M* model_;
  std::vector<KeyValueCache> contexts_;
  int eldest_ = 0, open_count_ = 0;
  bool is_youngest_settled_ = true;  // it will not open again at a later episode start
  std::vector<float> row_, first_row_;  // the coming step as the open contexts and as a new one see it
};

}  // namespace icrl
