// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/core/read_ahead.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/history/context_batch.hpp>
#include <icrl/history/episode_order.hpp>
#include <icrl/history/history_view.hpp>
#include <icrl/history/step_layout.hpp>
#include <icrl/history/step_stream.hpp>

namespace icrl {

struct WindowConfig {
  int context = 80;       ///< rows of a window
  int keep_every = 1;     ///< thinning: of k episodes one is kept, from a random one on
  double skip_first = 0;  ///< share of the episodes of a history that is left out at its start
  WindowStart start = WindowStart::episode;
  /// Share of windows that begin with the first kept episode. One from a history's middle begins with a learner that
  /// knows things it does not show; where most are like that, an agent with an empty memory acts as if it knew.
  double history_start_share = 0.5;
  bool shuffle_episodes = false;   ///< control: the same episodes in a random order, new for every window
  bool use_expert_action = false;  ///< labels are the expert's actions, not the ones taken
};

/// Throws Error for a value out of its range.
inline void validate(const WindowConfig& config) {
  if (config.context < 1) fail("window: context is {}, it must be at least 1", config.context);
  if (config.keep_every < 1) fail("window: keep_every is {}, it must be at least 1", config.keep_every);
  if (!(config.skip_first >= 0 && config.skip_first < 1))
    fail("window: skip_first is {}, it must lie in [0, 1)", config.skip_first);
  if (!(config.history_start_share >= 0 && config.history_start_share <= 1))
    fail("window: history_start_share is {}, it must lie in [0, 1]", config.history_start_share);
}

namespace detail {

/// The steps of a history's longest episode, and whether all of its episodes have so many.
struct EpisodeLengths {
  int longest = 0;
  bool are_even = true;
};

/// The episodes of a history that one window may use, in order: every stride-th one from `first` on.
struct KeptEpisodes {
  HistoryView history;
  EpisodeLengths lengths;
  int first, stride, count;
  bool is_shuffled;
  std::uint64_t order_key;

  /// Index in the history of the i-th kept episode.
  [[nodiscard]] int index(int i) const {
    return first + stride * (is_shuffled ? shuffled_place(i, count, order_key) : i);
  }
  /// Of the i-th kept episode, like all below. Where episodes end is looked up only if it does not follow from the
  /// lengths: in a mapped file it costs a look at one more page.
  [[nodiscard]] int length(int i) const { return length_of(index(i)); }
  [[nodiscard]] std::int64_t first_step(int i) const { return first_step_of(index(i)); }
  [[nodiscard]] EpisodeView episode(int i) const {
    const int e = index(i);
    return {history.columns(), e, first_step_of(e), length_of(e)};
  }

private:
  [[nodiscard]] int length_of(int e) const { return lengths.are_even ? lengths.longest : history.episode_length(e); }
  [[nodiscard]] std::int64_t first_step_of(int e) const {
    return lengths.are_even ? std::int64_t{lengths.longest} * e : history.first_step(e);
  }
};

/// A step of a kept episode.
struct WindowBegin {
  int episode = 0, step = 0;
};

/// The choice of a window, as far as it needs no look at the history, and what draws the rest of it.
struct WindowDraw {
  KeptEpisodes kept;
  bool is_from_start;
  Rng rng;
};

/// The steps of one episode that a window shows.
struct WindowPart {
  int episode;              ///< its index in the history
  std::int64_t first_step;  ///< from the history's start
  int step_count;
  bool is_closed;  ///< a closing row follows them
};

}  // namespace detail

/// Cuts random windows out of histories, as training sequences. A window lies inside one history, goes on across its
/// kept episodes, and begins without a past, as an agent does that wakes with an empty memory.
///
/// Sequence b of a batch is a function of rng.fork(b): a history uniformly; the phase of the thinning uniformly; the
/// begin uniformly among those from which a full window still fits, the first kept episode where none does.
class WindowSampler {
public:
  /// The histories outlive the sampler. Those without an episode are left out. Throws Error where none is left, where
  /// spaces differ from the layout's, or where expert actions are asked for and missing.
  WindowSampler(std::vector<HistoryView> histories, StepLayout layout, const WindowConfig& config)
      : histories_{std::move(histories)}, layout_{std::move(layout)}, config_{config} {
    validate(config_);
    const std::size_t given = histories_.size();
    for (std::size_t i = 0; i < given; ++i) check_history(i);
    std::erase_if(histories_, [](const HistoryView& history) { return history.episode_count() == 0; });
    if (histories_.empty())
      fail("window sampler: there is no history with an episode to sample from (of {} given)", given);
    for (const HistoryView& history : histories_) {
      is_mapped_ = is_mapped_ || history.columns().is_mapped;
      lengths_.push_back(lengths_in(history));
    }
  }

  /// All that the windows depend on, except what stands in the histories: to tell one run's windows from another's.
  [[nodiscard]] std::string describe() const {
    std::int64_t steps = 0;
    for (const HistoryView& history : histories_) steps += history.step_count();
    return fmt::format(
        "{} histories of {} steps, windows of {} rows that start {}, every {}. episode after a share of {}, {} from the "
        "start, {}{}",
        histories_.size(), steps, config_.context, to_string(config_.start), config_.keep_every, config_.skip_first,
        config_.history_start_share, config_.shuffle_episodes ? "shuffled" : "in order",
        config_.use_expert_action ? ", expert actions" : "");
  }

  [[nodiscard]] const StepLayout& layout() const { return layout_; }
  [[nodiscard]] const WindowConfig& config() const { return config_; }
  /// Rows of the longest episode of all histories, a closing row among them.
  [[nodiscard]] int longest_episode() const {
    int longest = 0;
    for (const detail::EpisodeLengths& lengths : lengths_) longest = std::max(longest, lengths.longest);
    return longest + (layout_.closing_token ? 1 : 0);
  }

  /// Fills `out` with `count` windows. Allocates only when the batch grows.
  void sample(int count, const Rng& rng, ContextBatch& out) const {
    out.resize(count, config_.context, layout_);
    for (int b = 0; b < count; ++b) {
      detail::WindowDraw window = draw(b, rng);
      write(window.kept, begin(window), b, out);
    }
  }

  /// Asks the system to read what sample(count, rng, ...) will look at in mapped files, and does not wait for it,
  /// except for where episodes of uneven lengths end. Allocates nothing, changes nothing, and does nothing where all
  /// histories are in memory.
  void prefetch(int count, const Rng& rng) const {
    if (!is_mapped_) return;
    {
      ReadAhead ahead;  // for all windows at once, because the steps of a window are found with them
      for (int b = 0; b < count; ++b) ahead.add(ends_for(draw(b, rng)));
    }
    ReadAhead ahead;
    visit_reads(count, rng, [&](int, std::span<const std::byte> bytes) { ahead.add(bytes); });
  }

  /// Calls visit(b, bytes) for all that sample(count, rng, ...) reads for its window b from the columns of steps:
  /// column by column, and within it episode by episode. Of rewards it may be a row more.
  template <typename Visit>
  void visit_reads(int count, const Rng& rng, Visit&& visit) const {
    for (int b = 0; b < count; ++b) {
      detail::WindowDraw window = draw(b, rng);
      const detail::WindowBegin first = begin(window);
      const HistoryColumns& columns = window.kept.history.columns();
      const ColumnView rewards{reinterpret_cast<const std::byte*>(columns.rewards), ElementType::f32, 1};
      const ColumnView read[] = {columns.observations, columns.actions, rewards, columns.expert_actions};
      const std::size_t read_count = config_.use_expert_action ? 4 : 3;
      for (std::size_t c = 0; c < read_count; ++c) {
        const std::size_t row_bytes = read[c].row_bytes();
        const bool has_last = c == 0;  // of observations there is one more than steps in every episode
        for_each_part(window.kept, first, [&](const detail::WindowPart& part) {
          const auto row = static_cast<std::size_t>(part.first_step + (has_last ? part.episode : 0));
          const auto row_count = static_cast<std::size_t>(part.step_count) + (has_last && part.is_closed ? 1 : 0);
          visit(b, std::span{read[c].data + row * row_bytes, row_count * row_bytes});
        });
      }
    }
  }

private:
  void check_history(std::size_t i) const {
    const HistoryInfo& info = histories_[i].info();
    const std::string differ = difference({info.observation_space, info.action_space, layout_.closing_token}, layout_);
    if (!differ.empty()) {
      fail("window sampler: history {} has observations {} and actions {}, the layout has others: {}", i,
           to_short_string(info.observation_space), to_short_string(info.action_space), differ);
    }
    if (config_.use_expert_action && !info.has_expert_action)
      fail("window sampler: history {} has no expert actions to learn from (was it recorded with them?)", i);
  }

  static detail::EpisodeLengths lengths_in(const HistoryView& history) {
    if (history.columns().is_mapped) ReadAhead{}.add(ends_of(history, 0, history.episode_count()));
    detail::EpisodeLengths lengths{.longest = history.episode_length(0)};
    for (int e = 0; e < history.episode_count(); ++e) {
      const int length = history.episode_length(e);
      lengths.are_even = lengths.are_even && length == lengths.longest;
      lengths.longest = std::max(lengths.longest, length);
    }
    return lengths;
  }

  [[nodiscard]] static std::span<const std::byte> ends_of(const HistoryView& history, int first, int end) {
    return std::as_bytes(std::span{history.columns().episode_ends + first, static_cast<std::size_t>(end - first)});
  }

  /// Where the episodes end that a window is looked for in.
  [[nodiscard]] std::span<const std::byte> ends_for(const detail::WindowDraw& window) const {
    if (window.kept.lengths.are_even) return {};
    constexpr int most = 1 << 17;  // 1 MB
    const detail::KeptEpisodes& kept = window.kept;
    const int first = std::max(0, kept.first - 1), end = kept.history.episode_count();
    if (!window.is_from_start || kept.is_shuffled) return ends_of(kept.history, std::max(first, end - most), end);
    const std::int64_t past_window = kept.first + std::int64_t{kept.stride} * config_.context;
    return ends_of(kept.history, first, static_cast<int>(std::min<std::int64_t>(end, past_window)));
  }

  /// The choice of window b, as far as it needs no look at the history.
  [[nodiscard, gnu::noinline]] detail::WindowDraw draw(int b, const Rng& rng) const {
    Rng own = rng.fork(static_cast<std::uint64_t>(b));
    const auto h = static_cast<std::size_t>(own.below(static_cast<int>(histories_.size())));
    const detail::KeptEpisodes kept = keep(h, own);
    const bool is_from_start = own.chance(config_.history_start_share);
    return {kept, is_from_start, own};
  }

  [[nodiscard]] detail::KeptEpisodes keep(std::size_t h, Rng& rng) const {
    const HistoryView& history = histories_[h];
    const int episodes = history.episode_count();
    const int skipped = std::min(static_cast<int>(config_.skip_first * episodes), episodes - 1);
    const int phase = rng.below(std::min(config_.keep_every, episodes - skipped));
    const int first = skipped + phase;
    const int count = (episodes - first - 1) / config_.keep_every + 1;
    const std::uint64_t order_key = config_.shuffle_episodes ? rng.bits() : 0;
    return {history, lengths_[h], first, config_.keep_every, count, config_.shuffle_episodes, order_key};
  }

  /// The last begin from which a full window fits, or the very first.
  [[nodiscard]] detail::WindowBegin last_begin(const detail::KeptEpisodes& kept) const {
    const int closing_rows = layout_.closing_token ? 1 : 0;
    int rows = 0;
    for (int i = kept.count - 1; i >= 0; --i) {
      const int length = kept.length(i);
      rows += length + closing_rows;
      if (rows >= config_.context) return {i, std::min(rows - config_.context, length - 1)};
    }
    return {};
  }

  /// Draws the rest of a window's choice.
  [[nodiscard, gnu::noinline]] detail::WindowBegin begin(detail::WindowDraw& window) const {
    if (window.is_from_start) return {};
    const detail::KeptEpisodes& kept = window.kept;
    const detail::WindowBegin last = last_begin(kept);
    if (config_.start == WindowStart::episode) return {window.rng.below(last.episode + 1), 0};
    const auto begin_count = [&](int i) { return i < last.episode ? kept.length(i) : last.step + 1; };
    for (int tries = 0; tries < 1000; ++tries) {  // uniform over steps, without adding up the lengths of all episodes
      const detail::WindowBegin drawn{window.rng.below(last.episode + 1), window.rng.below(kept.lengths.longest)};
      if (drawn.step < begin_count(drawn.episode)) return drawn;
    }
    std::int64_t total = 0;  // one episode is far longer than most others
    for (int i = 0; i <= last.episode; ++i) total += begin_count(i);
    auto left = static_cast<std::int64_t>(window.rng.uniform() * static_cast<double>(total));
    int i = 0;
    while (i < last.episode && left >= begin_count(i)) left -= begin_count(i++);
    return {i, static_cast<int>(std::min<std::int64_t>(left, begin_count(i) - 1))};
  }

  /// Calls visit(part) for each episode that a window shows steps of.
  template <typename Visit>
  void for_each_part(const detail::KeptEpisodes& kept, detail::WindowBegin begin, Visit&& visit) const {
    int rows_left = config_.context;
    for (int i = begin.episode; i < kept.count && rows_left > 0; ++i) {
      const int skipped = i == begin.episode ? begin.step : 0;
      const int step_count = std::min(kept.length(i) - skipped, rows_left);
      rows_left -= step_count;
      const bool is_closed = layout_.closing_token && rows_left > 0;
      rows_left -= is_closed ? 1 : 0;
      visit(detail::WindowPart{kept.index(i), kept.first_step(i) + skipped, step_count, is_closed});
    }
  }

  void write(const detail::KeptEpisodes& kept, detail::WindowBegin begin, int b, ContextBatch& out) const {
    const auto feature_count = static_cast<std::size_t>(out.feature_count);
    const auto action_size = static_cast<std::size_t>(out.action_size);
    const auto context = static_cast<std::size_t>(out.context);
    const auto features = out.features_of(b), actions = out.actions_of(b), weights = out.weights_of(b);
    const auto fill_zero = [](std::span<float> numbers) { std::fill(numbers.begin(), numbers.end(), 0.0f); };
    StreamPhase phase{begin.step == 0, false};
    std::size_t filled = 0;
    // The step before a row is read into its place in the row, from the column or, within an episode, as it was taken.
    const auto put_row = [&](const EpisodeView& now, int t, const EpisodeView& before, int previous, int flags) {
      const auto row = features.subspan(filled * feature_count, feature_count);
      const auto observation = layout_.observation_of(row), action = layout_.previous_action_of(row);
      const bool has_previous = (flags & StepFlag::no_previous) == 0;
      now.observation(t, observation);
      if (has_previous) before.action(previous, action);
      layout_.write(row, observation, action, has_previous ? before.reward(previous) : 0.0f, flags);
    };

    for (int i = begin.episode; i < kept.count && filled < context; ++i) {
      const EpisodeView episode = kept.episode(i);
      const EpisodeView before = i > begin.episode ? kept.episode(i - 1) : episode;
      int t = i == begin.episode ? begin.step : 0;
      for (; t < episode.length() && filled < context; ++t, ++filled) {
        put_row(episode, t, t > 0 ? episode : before, t > 0 ? t - 1 : before.length() - 1, phase.flags());
        const auto label = actions.subspan(filled * action_size, action_size);
        if (config_.use_expert_action) {
          episode.expert_action(t, label);
        } else {
          episode.action(t, label);
        }
        weights[filled] = 1.0f;
        phase.record(t + 1 == episode.length());
      }
      if (!layout_.closing_token || filled == context) continue;
      put_row(episode, t, episode, t - 1, StepFlag::closing);
      fill_zero(actions.subspan(filled * action_size, action_size));
      weights[filled] = 0.0f;
      phase.close();
      ++filled;
    }
    out.lengths[static_cast<std::size_t>(b)] = static_cast<int>(filled);
    fill_zero(features.subspan(filled * feature_count));
    fill_zero(actions.subspan(filled * action_size));
    fill_zero(weights.subspan(filled));
  }

  std::vector<HistoryView> histories_;
  StepLayout layout_;
  WindowConfig config_;
  std::vector<detail::EpisodeLengths> lengths_;  // of each history
  bool is_mapped_ = false;                       // some of the histories
};

}  // namespace icrl
