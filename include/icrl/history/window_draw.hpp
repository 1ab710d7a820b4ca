// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <icrl/core/read_ahead.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/history/episode_order.hpp>
#include <icrl/history/history_view.hpp>
#include <icrl/history/window_config.hpp>

// Which window: the episodes it may use and the step it begins with. window_cut.hpp has what stands in it.
namespace icrl::detail {

/// Where episodes first .. end - 1 end, as the history keeps it.
[[nodiscard]] inline std::span<const std::byte> ends_of(const HistoryView& history, int first, int end) {
  return std::as_bytes(std::span{history.columns().episode_ends + first, static_cast<std::size_t>(end - first)});
}

/// The number of steps of a history's longest episode, and whether all of its episodes have that length.
struct EpisodeLengths {
  int longest = 0;
  bool are_even = true;

  /// The history has an episode.
  [[nodiscard]] static EpisodeLengths of(const HistoryView& history) {
    if (history.columns().is_mapped) ReadAhead{}.add(ends_of(history, 0, history.episode_count()));
    EpisodeLengths lengths{.longest = history.episode_length(0)};
    for (int e = 0; e < history.episode_count(); ++e) {
      const int length = history.episode_length(e);
      lengths.are_even = lengths.are_even && length == lengths.longest;
      lengths.longest = std::max(lengths.longest, length);
    }
    return lengths;
  }
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
  /// Length and first step of episode e of the history. Where episodes end is looked up only if it does not follow from
  /// the lengths: in a mapped file this reads one more page.
  [[nodiscard]] int length_of(int e) const { return lengths.are_even ? lengths.longest : history.episode_length(e); }
  [[nodiscard]] std::int64_t first_step_of(int e) const {
    return lengths.are_even ? std::int64_t{lengths.longest} * e : history.first_step(e);
  }
  /// Length of the i-th kept episode.
  [[nodiscard]] int length(int i) const { return length_of(index(i)); }
};

/// A step of a kept episode.
struct WindowBegin {
  int episode = 0, step = 0;
};

/// A window that is drawn in two steps: construction does not read the history, begin() reads where its episodes end.
struct WindowDraw {
  KeptEpisodes kept;
  bool is_from_start;
  Rng rng;  ///< draws the rest

  /// One of the windows of a history that has an episode.
  [[nodiscard]] static WindowDraw of(const HistoryView& history, const EpisodeLengths& lengths,
                                     const WindowConfig& config, Rng rng) {
    const int episodes = history.episode_count();
    const int skipped = std::min(static_cast<int>(config.skip_fraction * episodes), episodes - 1);
    const int phase = rng.below(std::min(config.subsample, episodes - skipped));
    const int first = skipped + phase;
    const int count = (episodes - first - 1) / config.subsample + 1;
    const std::uint64_t order_key = config.shuffle_episodes ? rng.bits() : 0;
    const bool is_from_start = rng.chance(config.history_start_fraction);
    return {{history, lengths, first, config.subsample, count, config.shuffle_episodes, order_key}, is_from_start, rng};
  }

  /// The step that the window begins with. Each call draws another one.
  [[nodiscard, gnu::noinline]] WindowBegin begin(const WindowConfig& config, bool has_closing_rows) {
    if (is_from_start) return {};
    const WindowBegin last = last_begin(config.context, has_closing_rows);
    if (config.start == WindowStart::episode) return {rng.below(last.episode + 1), 0};
    const auto begin_count = [&](int i) { return i < last.episode ? kept.length(i) : last.step + 1; };
    for (int tries = 0; tries < 1000; ++tries) {  // uniform over steps, without adding up the lengths of all episodes
      const WindowBegin drawn{rng.below(last.episode + 1), rng.below(kept.lengths.longest)};
      if (drawn.step < begin_count(drawn.episode)) return drawn;
    }
    std::int64_t total = 0;  // one episode is far longer than most others
    for (int i = 0; i <= last.episode; ++i) total += begin_count(i);
    auto left = static_cast<std::int64_t>(rng.uniform() * static_cast<double>(total));
    int i = 0;
    while (i < last.episode && left >= begin_count(i)) left -= begin_count(i++);
    return {i, static_cast<int>(std::min<std::int64_t>(left, begin_count(i) - 1))};
  }

  /// The ends of the episodes that begin() and the cut read, and possibly more; empty if they follow from the lengths.
  [[nodiscard]] std::span<const std::byte> ends(int context) const {
    if (kept.lengths.are_even) return {};
    constexpr int most = 1 << 17;  // 1 MB
    const int first = std::max(0, kept.first - 1), end = kept.history.episode_count();
    if (!is_from_start || kept.is_shuffled) return ends_of(kept.history, std::max(first, end - most), end);
    const std::int64_t past_window = kept.first + std::int64_t{kept.stride} * context;
    return ends_of(kept.history, first, static_cast<int>(std::min<std::int64_t>(end, past_window)));
  }

private:
  /// The last beginning from which a full window fits, or the first beginning if none does.
  [[nodiscard]] WindowBegin last_begin(int context, bool has_closing_rows) const {
    int rows = 0;
    for (int i = kept.count - 1; i >= 0; --i) {
      const int length = kept.length(i);
      rows += length + (has_closing_rows ? 1 : 0);
      if (rows >= context) return {i, std::min(rows - context, length - 1)};
    }
    return {};
  }
};

}  // namespace icrl::detail
