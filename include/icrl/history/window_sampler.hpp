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

/// The episodes of a history that one window may use, in order: every stride-th one from `first` on.
struct KeptEpisodes {
  HistoryView history;
  int first, stride, count;
  bool is_shuffled;
  std::uint64_t order_key;

  /// Index in the history of the i-th kept episode.
  [[nodiscard]] int index(int i) const {
    return first + stride * (is_shuffled ? shuffled_place(i, count, order_key) : i);
  }
  [[nodiscard]] EpisodeView episode(int i) const { return history.episode(index(i)); }
  [[nodiscard]] int length(int i) const { return history.episode_length(index(i)); }
};

/// A step of a kept episode.
struct WindowBegin {
  int episode = 0, step = 0;
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
    for (std::size_t i = 0; i < histories_.size(); ++i) check_history(i);
    std::erase_if(histories_, [](const HistoryView& history) { return history.episode_count() == 0; });
    if (histories_.empty()) fail("window sampler: there is no history with an episode to sample from");
    for (const HistoryView& history : histories_) longest_.push_back(longest_episode(history));
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
    return *std::max_element(longest_.begin(), longest_.end()) + (layout_.closing_token ? 1 : 0);
  }

  /// Fills `out` with `count` windows. Allocates only when the batch grows.
  void sample(int count, const Rng& rng, ContextBatch& out) const {
    out.resize(count, config_.context, layout_);
    for (int b = 0; b < count; ++b) {
      Rng own = rng.fork(static_cast<std::uint64_t>(b));
      const int h = own.below(static_cast<int>(histories_.size()));
      const detail::KeptEpisodes kept = keep(histories_[static_cast<std::size_t>(h)], own);
      write(kept, begin(kept, longest_[static_cast<std::size_t>(h)], own), b, out);
    }
  }

private:
  void check_history(std::size_t i) const {
    const HistoryInfo& info = histories_[i].info();
    if (info.observation_space != layout_.observation_space || info.action_space != layout_.action_space) {
      fail("window sampler: history {} has observations {} and actions {}, the layout wants {} and {}", i,
           to_string(info.observation_space), to_string(info.action_space), to_string(layout_.observation_space),
           to_string(layout_.action_space));
    }
    if (config_.use_expert_action && !info.has_expert_action)
      fail("window sampler: history {} has no expert actions to learn from (was it recorded with them?)", i);
  }

  static int longest_episode(const HistoryView& history) {
    int longest = 0;
    for (int e = 0; e < history.episode_count(); ++e) longest = std::max(longest, history.episode_length(e));
    return longest;
  }

  [[nodiscard]] detail::KeptEpisodes keep(const HistoryView& history, Rng& rng) const {
    const int episodes = history.episode_count();
    const int skipped = std::min(static_cast<int>(config_.skip_first * episodes), episodes - 1);
    const int phase = rng.below(std::min(config_.keep_every, episodes - skipped));
    const int first = skipped + phase;
    const int count = (episodes - first - 1) / config_.keep_every + 1;
    const std::uint64_t order_key = config_.shuffle_episodes ? rng.bits() : 0;
    return {history, first, config_.keep_every, count, config_.shuffle_episodes, order_key};
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

  [[nodiscard]] detail::WindowBegin begin(const detail::KeptEpisodes& kept, int longest, Rng& rng) const {
    if (rng.chance(config_.history_start_share)) return {};
    const detail::WindowBegin last = last_begin(kept);
    if (config_.start == WindowStart::episode) return {rng.below(last.episode + 1), 0};
    for (;;) {  // uniform over steps, without adding up the lengths of all episodes
      const detail::WindowBegin drawn{rng.below(last.episode + 1), rng.below(longest)};
      if (drawn.step < kept.length(drawn.episode) && (drawn.episode < last.episode || drawn.step <= last.step))
        return drawn;
    }
  }

  void write(const detail::KeptEpisodes& kept, detail::WindowBegin begin, int b, ContextBatch& out) const {
    const auto feature_count = static_cast<std::size_t>(out.feature_count);
    const auto action_size = static_cast<std::size_t>(out.action_size);
    const auto context = static_cast<std::size_t>(out.context);
    const auto features = out.features_of(b), actions = out.actions_of(b), weights = out.weights_of(b);
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
      std::ranges::fill(actions.subspan(filled * action_size, action_size), 0.0f);
      weights[filled] = 0.0f;
      phase.close();
      ++filled;
    }
    out.lengths[static_cast<std::size_t>(b)] = static_cast<int>(filled);
    std::ranges::fill(features.subspan(filled * feature_count), 0.0f);
    std::ranges::fill(actions.subspan(filled * action_size), 0.0f);
    std::ranges::fill(weights.subspan(filled), 0.0f);
  }

  std::vector<HistoryView> histories_;
  StepLayout layout_;
  WindowConfig config_;
  std::vector<int> longest_;  // steps of the longest episode of each history
};

}  // namespace icrl
