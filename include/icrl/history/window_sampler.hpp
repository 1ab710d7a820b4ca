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
#include <icrl/env/space_text.hpp>
#include <icrl/history/context_batch.hpp>
#include <icrl/history/history_view.hpp>
#include <icrl/history/step_layout.hpp>
#include <icrl/history/window_config.hpp>
#include <icrl/history/window_cut.hpp>
#include <icrl/history/window_draw.hpp>

namespace icrl {

/// Cuts random windows out of histories, as training sequences. A window lies inside one history, continues across its
/// kept episodes, and begins without a previous action, like an agent with an empty memory.
///
/// Sequence b of a batch is a function of rng.fork(b): a history uniformly; the phase of the thinning uniformly; then
/// with probability `history_start_fraction` the first kept episode, else a beginning uniformly among those from which
/// a full window fits (the first kept episode if none does).
class WindowSampler {
public:
  /// The histories outlive the sampler. Those without an episode are left out. Throws Error if none is left, if spaces
  /// differ from the layout's, or if requested extra features or expert actions are missing.
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
      lengths_.push_back(detail::EpisodeLengths::of(history));
    }
  }

  /// Everything that the windows depend on, except the contents of the histories, to tell the windows of different runs
  /// apart.
  [[nodiscard]] std::string describe() const {
    std::int64_t steps = 0;
    for (const HistoryView& history : histories_) steps += history.step_count();
    return fmt::format(
        "{} histories of {} steps, windows of {} rows that start {}, every {}. episode after a share of {}, {} from the "
        "start, {}{}",
        histories_.size(), steps, config_.context, to_string(config_.start), config_.subsample, config_.skip_fraction,
        config_.history_start_fraction, config_.shuffle_episodes ? "shuffled" : "in order",
        config_.use_expert_action ? ", expert actions" : "");
  }

  /// What a row of a window holds.
  [[nodiscard]] const StepLayout& layout() const { return layout_; }
  /// How windows are cut.
  [[nodiscard]] const WindowConfig& config() const { return config_; }
  /// Rows of the longest episode of all histories, including a closing row.
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
      cut(window).write(b, out);
    }
  }

  /// Asks the system to prefetch what sample(count, rng, ...) will read in mapped files. It does not wait, except for
  /// the ends of episodes if their lengths differ. Allocates nothing, changes nothing, and does nothing if all
  /// histories are in memory.
  void prefetch(int count, const Rng& rng) const {
    if (!is_mapped_) return;
    {
      ReadAhead ahead;  // for all windows at once, because the steps of a window are found with them
      for (int b = 0; b < count; ++b) ahead.add(draw(b, rng).ends(config_.context));
    }
    ReadAhead ahead;
    visit_reads(count, rng, [&](int, std::span<const std::byte> bytes) { ahead.add(bytes); });
  }

  /// Calls visit(b, bytes) for all that sample(count, rng, ...) reads for its window b from the columns of steps:
  /// column by column, and within it episode by episode. It may include one reward per window that is not read.
  template <typename Visit>
  void visit_reads(int count, const Rng& rng, Visit&& visit) const {
    for (int b = 0; b < count; ++b) {
      detail::WindowDraw window = draw(b, rng);
      cut(window).for_each_read([&](std::span<const std::byte> bytes) { visit(b, bytes); });
    }
  }

private:
  void check_history(std::size_t i) const {
    const HistoryInfo& info = histories_[i].info();
    const std::string differ =
        difference({info.observation_space, info.action_space, layout_.closing_token, layout_.extra_features}, layout_);
    if (!differ.empty()) {
      fail("window sampler: history {} has observations {} and actions {}, the layout has others: {}", i,
           to_short_string(info.observation_space), to_short_string(info.action_space), differ);
    }
    if (config_.use_expert_action && !info.has_expert_action)
      fail("window sampler: history {} has no expert actions to learn from (was it recorded with them?)", i);
    for (const ExtraFeature& feature : layout_.extra_features) {
      if (find_extra_feature(info.extra_features, feature) >= 0) continue;
      fail(
          "window sampler: the layout has the extra feature {} of {} numbers, history {} has: {} (add it with "
          "with_extra_feature)",
          feature.name, feature.size, i, to_string(info.extra_features));
    }
  }

  /// The part of the choice of window b that does not read the history.
  [[nodiscard, gnu::noinline]] detail::WindowDraw draw(int b, const Rng& rng) const {
    Rng own = rng.fork(static_cast<std::uint64_t>(b));
    const auto h = static_cast<std::size_t>(own.below(static_cast<int>(histories_.size())));
    return detail::WindowDraw::of(histories_[h], lengths_[h], config_, own);
  }

  /// Draws the rest of the choice. The result refers to `window`.
  [[nodiscard]] detail::WindowCut cut(detail::WindowDraw& window) const {
    const detail::WindowBegin begin = window.begin(config_, layout_.closing_token);
    return {window.kept, begin, config_.context, layout_, config_.use_expert_action};
  }

  std::vector<HistoryView> histories_;
  StepLayout layout_;
  WindowConfig config_;
  std::vector<detail::EpisodeLengths> lengths_;  // of each history
  bool is_mapped_ = false;                       // some of the histories
};

}  // namespace icrl
