// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <icrl/history/context_batch.hpp>
#include <icrl/history/history_view.hpp>
#include <icrl/history/step_layout.hpp>
#include <icrl/history/step_stream.hpp>
#include <icrl/history/window_draw.hpp>

// What stands in a window: its rows, and the bytes of the history that they are made of.
namespace icrl::detail {

/// The steps of one episode that a window shows.
struct WindowPart {
  int episode;              ///< its index in the history
  std::int64_t first_step;  ///< from the history's start
  int step_count;
  bool is_closed;  ///< a closing row follows them

  /// Where the observation before a step of the episode lies in its column: each episode before has one more
  /// observation than steps.
  [[nodiscard]] std::int64_t observation_of(std::int64_t step) const { return step + episode; }
};

/// A window whose place in its history is known.
struct WindowCut {
  const KeptEpisodes& kept;
  WindowBegin begin;
  int context;
  const StepLayout& layout;
  bool use_expert_action;

  /// Calls visit(part) for each episode of which the window shows steps.
  template <typename Visit>
  void for_each_part(Visit&& visit) const {
    int rows_left = context;
    for (int i = begin.episode; i < kept.count && rows_left > 0; ++i) {
      const int e = kept.index(i), skipped = i == begin.episode ? begin.step : 0;
      const int step_count = std::min(kept.length_of(e) - skipped, rows_left);
      rows_left -= step_count;
      const bool is_closed = layout.closing_token && rows_left > 0;
      rows_left -= is_closed ? 1 : 0;
      visit(WindowPart{e, kept.first_step_of(e) + skipped, step_count, is_closed});
    }
  }

  /// Calls visit(bytes) for all that write() reads from the columns of steps: column by column, and within it episode
  /// by episode. It may include one reward that is not read.
  template <typename Visit>
  void for_each_read(Visit&& visit) const {
    const HistoryColumns& columns = kept.history.columns();
    const auto visit_rows = [&](const ColumnView& column, std::int64_t first, int count) {
      visit(std::span{column.row(first), static_cast<std::size_t>(count) * column.row_bytes()});
    };
    for_each_part([&](const WindowPart& part) {
      visit_rows(columns.observations, part.observation_of(part.first_step),
                 part.step_count + (part.is_closed ? 1 : 0));
    });
    const ColumnView rewards{reinterpret_cast<const std::byte*>(columns.rewards), ElementType::f32, 1};
    const ColumnView of_steps[] = {columns.actions, rewards, columns.expert_actions};
    for (const ColumnView& column : std::span{of_steps}.first(use_expert_action ? 3 : 2))
      for_each_part([&](const WindowPart& part) { visit_rows(column, part.first_step, part.step_count); });
    if (layout.extra_features.empty()) return;
    const ColumnView extras{reinterpret_cast<const std::byte*>(columns.extra_features), ElementType::f32,
                            columns.extra_size};
    for_each_part([&](const WindowPart& part) { visit_rows(extras, part.first_step, part.step_count); });
  }

  /// Fills sequence b of `out`, which has the layout's sizes.
  void write(int b, ContextBatch& out) const {
    const HistoryColumns& columns = kept.history.columns();
    const ColumnView& labels = use_expert_action ? columns.expert_actions : columns.actions;
    const auto action_size = static_cast<std::size_t>(out.action_size), image_bytes = out.image_bytes(),
               row_size = static_cast<std::size_t>(out.feature_count - out.image_size), past_size = action_size + 2,
               extra_size = static_cast<std::size_t>(layout.extra_size());
    const auto features = out.features_of(b), actions = out.actions_of(b), weights = out.weights_of(b);
    const auto images = out.images_of(b);
    const auto fill_zero = [](std::span<float> numbers) { std::ranges::fill(numbers, 0.0f); };
    StreamPhase phase{begin.step == 0, false};
    std::int64_t previous = 0;  // the step before the next row
    std::size_t filled = 0;
    const auto put_row = [&](std::int64_t observation, int flags, float weight) {
      const auto row = features.subspan(filled * row_size, row_size);
      const auto past = row.last(past_size), action = past.first(action_size);
      const bool has_previous = (flags & StepFlag::no_previous) == 0;
      if (image_bytes > 0) {
        std::copy_n(columns.observations.row(observation), image_bytes, images.data() + filled * image_bytes);
      } else {
        columns.observations.read(observation, row.first(row_size - past_size - extra_size));
      }
      if (has_previous) columns.actions.read(previous, action);
      layout.write_past(past, action, has_previous ? columns.rewards[previous] : 0.0f, flags);
      weights[filled] = weight;
    };

    for_each_part([&](const WindowPart& part) {
      const std::int64_t end = part.first_step + part.step_count;
      for (std::int64_t step = part.first_step; step < end; ++step, ++filled) {
        put_row(part.observation_of(step), phase.flags(), 1.0f);
        labels.read(step, actions.subspan(filled * action_size, action_size));
        phase.record(step + 1 == end);  // where a part ends before its episode, the window is full
        previous = step;
      }
      if (!part.is_closed) return;
      put_row(part.observation_of(end), StepFlag::closing, 0.0f);
      fill_zero(actions.subspan(filled * action_size, action_size));
      phase.close();
      ++filled;
    });
    if (extra_size > 0) write_extra_features(row_size - past_size - extra_size, row_size, features);
    out.lengths[static_cast<std::size_t>(b)] = static_cast<int>(filled);
    fill_zero(features.subspan(filled * row_size));
    std::ranges::fill(images.subspan(filled * image_bytes), std::byte{0});
    fill_zero(actions.subspan(filled * action_size));
    fill_zero(weights.subspan(filled));
  }

private:
  /// Fills the extra features of all rows, which begin at number `place` of a row; those of closing rows with zeros.
  void write_extra_features(std::size_t place, std::size_t row_size, std::span<float> features) const {
    const HistoryColumns& columns = kept.history.columns();
    for (const ExtraFeature& feature : layout.extra_features) {
      const float* const column =
          columns.extra_features + find_extra_feature(kept.history.info().extra_features, feature);
      float* to = features.data() + place;
      for_each_part([&](const WindowPart& part) {
        for (int t = 0; t < part.step_count; ++t, to += row_size)
          std::copy_n(column + (part.first_step + t) * columns.extra_size, feature.size, to);
        if (!part.is_closed) return;
        std::fill_n(to, feature.size, 0.0f);
        to += row_size;
      });
      place += static_cast<std::size_t>(feature.size);
    }
  }
};

}  // namespace icrl::detail
