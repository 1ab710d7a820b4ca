// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include <icrl/compress/int8_linear.hpp>
#include <icrl/model/step_embedding.hpp>

namespace icrl {

/// `StepEmbedding` with int8 rows: all tables, maps and vectors stacked in one matrix, each row with its own scale.
struct Int8Embedding {
  Matrix<std::int8_t> rows;      ///< (rows, C): tables, maps, reward, flags, bias, positions, as in
                                 ///< StepEmbedding::parameters()
  RowVector<Eigen::half> scale;  ///< (rows), in units of 2^-10
  StepEmbeddingConfig config;    ///< not a tensor, as the one below
  StepLayout layout;

  /// All weights zero.
  Int8Embedding(const StepEmbeddingConfig& shape, const StepLayout& steps)
      : rows{Matrix<std::int8_t>::Zero(static_cast<Index>(row_count(shape, steps)), shape.width)},
        scale{RowVector<Eigen::half>::Constant(rows.rows(), Eigen::half(0.0f))},
        config{shape},
        layout{steps},
        observation_ids_{id_counts(steps.observation_space)},
        action_ids_{id_counts(steps.action_space)} {
    Index next = 0;
    const auto take = [&](Index count) { return std::exchange(next, next + count); };
    observation_tables_ = take(sum(observation_ids_));
    action_tables_ = take(sum(action_ids_) + static_cast<Index>(action_ids_.size()));
    observation_map_ = take(has_ids(steps.observation_space) ? 0 : steps.observation_size());
    action_map_ = take(has_ids(steps.action_space) ? 0 : steps.action_size());
    extra_map_ = take(steps.extra_size());
    reward_ = take(1);
    flags_ = take(StepFlag::count);
    bias_ = take(1);
    positions_ = take(shape.position_count);
    ICRL_ASSERT(next == rows.rows(), "int8 embedding: rows.rows() must be the rows of all tables together");
  }
  /// Throws Error for a weight that is not finite or exceeds 8000.
  Int8Embedding(const StepEmbedding<float>& from, const StepLayout& steps) : Int8Embedding{from.config, steps} {
    Index next = 0;
    for (const Parameter<const float>& p : parameters_of(from)) {
      for (Index r = 0; r < p.rows; ++r, ++next) {
        const std::string what = fmt::format("embedding.{}, row {}", p.name, r);
        const float step = detail::quantize_weights(p.data + r * p.columns, p.columns, 1, what, row_data(rows, next));
        scale(next) = Eigen::half(step / detail::scale_unit);
      }
    }
    ICRL_ASSERT(next == rows.rows(), "int8 embedding: not all rows were set");
  }

  /// Numbers in the tensors of such an embedding.
  [[nodiscard]] static std::int64_t weight_count(const StepEmbeddingConfig& shape, const StepLayout& steps) {
    return row_count(shape, steps) * (std::int64_t{shape.width} + 1);
  }

  /// Throws Error, which begins with `what`, for numbers outside their ranges.
  void check_valid(std::string_view what) const {
    for (Index i = 0; i < rows.size(); ++i)
      if (rows.data()[i] == -128) fail("{}: code {} is -128, outside -127 .. 127", what, i);
    for (Index i = 0; i < scale.size(); ++i) {
      const float step = scale_of(i);
      if (!std::isfinite(step) || std::signbit(step))
        fail("{}: scale {} is {}, it must be finite and not negative", what, i, step);
    }
  }

  /// Writes token number `token` of the step `row`, which stands at `position`, to `out` (C numbers).
  template <typename Kernels>
  void step(Kernels kernels, const float* row, int token, Index position, float* out) const {
    const Index width = rows.cols();
    const bool is_fused = config.tokens == TokenScheme::fused;
    const auto add = [&](Index r, float factor) {
      kernels.add_codes(row_data(rows, r), width, factor * scale_of(r), out);
    };
    const auto add_ids = [&](const std::vector<int>& counts, int extra, Index first, const float* ids) {
      for (std::size_t i = 0; i < counts.size(); first += counts[i] + extra, ++i) {
        ICRL_ASSERT(ids[i] >= 0 && static_cast<int>(ids[i]) < counts[i] + extra,
                    "int8 embedding: an id lies outside its table");
        add(first + static_cast<Index>(ids[i]), 1);
      }
    };
    std::fill_n(out, width, 0.0f);
    add(bias_, 1);
    if (config.position_count > 0) add(positions_ + position, 1);
    if (is_fused || token == 2) {
      add_ids(observation_ids_, 0, observation_tables_, row);
      for (Index i = 0; i < action_map_ - observation_map_; ++i) add(observation_map_ + i, row[i]);
      for (Index i = 0; i < reward_ - extra_map_; ++i) add(extra_map_ + i, row[layout.extra_offset() + i]);
      add(flags_ + static_cast<Index>(row[layout.flag_offset()]), 1);
    }
    if (is_fused || token == 0) {
      const float* const action = row + layout.action_offset();
      add_ids(action_ids_, 1, action_tables_, action);
      for (Index i = 0; i < extra_map_ - action_map_; ++i) add(action_map_ + i, action[i]);
    }
    if (is_fused || token == 1) add(reward_, static_cast<float>(config.reward_scale) * row[layout.reward_offset()]);
  }

  /// The value of code 1 in a row.
  [[nodiscard]] float scale_of(Index row) const { return static_cast<float>(scale(row)) * detail::scale_unit; }

  static constexpr auto tensors() {
    return std::tuple{Field{"rows", &Int8Embedding::rows}, Field{"scale", &Int8Embedding::scale}};
  }

private:
  static Index sum(const std::vector<int>& counts) {
    Index total = 0;
    for (const int count : counts) total += count;
    return total;
  }
  static std::int64_t row_count(const StepEmbeddingConfig& shape, const StepLayout& steps) {
    return StepEmbedding<float>::weight_count(shape, steps) / shape.width;
  }

  std::vector<int> observation_ids_, action_ids_;
  // The first row of each part.
  Index observation_tables_ = 0, action_tables_ = 0, observation_map_ = 0, action_map_ = 0, extra_map_ = 0, reward_ = 0,
        flags_ = 0, bias_ = 0, positions_ = 0;
};

}  // namespace icrl
