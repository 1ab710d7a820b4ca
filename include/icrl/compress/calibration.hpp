// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <icrl/compress/linear_maps.hpp>
#include <icrl/compress/magnitude_histogram.hpp>
#include <icrl/history/window_sampler.hpp>
#include <icrl/math/product.hpp>

namespace icrl {

/// Statistics of the inputs of one linear map over all tokens.
struct InputStatistics {
  std::int64_t rows = 0;          ///< tokens seen
  RowVector<float> largest;       ///< (in) max |x| of each input
  RowVector<double> sums;         ///< (in) sum of x
  Matrix<double> second_moments;  ///< (in, in) sum of x^T x
  MagnitudeHistogram magnitudes;  ///< |x| of all inputs

  /// Statistics of no tokens yet, for a map with `in` inputs.
  explicit InputStatistics(Index in)
      : largest{RowVector<float>::Zero(in)},
        sums{RowVector<double>::Zero(in)},
        second_moments{Matrix<double>::Zero(in, in)} {}

  [[nodiscard]] Index input_size() const { return largest.size(); }
  /// The mean of x^2 of input i.
  [[nodiscard]] double mean_square(Index i) const {
    return rows == 0 ? 0 : second_moments(i, i) / static_cast<double>(rows);
  }

  /// Adds x (T, in). Throws Error, with nothing added, where a number is not finite.
  void add(MatrixIn<float> x) {
    const Index in = input_size();
    ICRL_ASSERT(x.cols() == in, "InputStatistics: x must have input_size() columns");
    if (!x.allFinite()) fail("calibration: an input of a linear layer is not finite (did training diverge?)");
    Matrix<float> products = Matrix<float>::Zero(in, in);
    add_transposed_product<float>(x, x, products);
    second_moments += products.cast<double>();
    for (Index t = 0; t < x.rows(); ++t) {
      const float* const row = x.data() + t * x.outerStride();
      for (Index i = 0; i < in; ++i) {
        largest(i) = std::max(largest(i), std::abs(row[i]));
        sums(i) += static_cast<double>(row[i]);
      }
      magnitudes.add({row, static_cast<std::size_t>(in)});
    }
    rows += x.rows();
  }
};

/// The inputs of a transformer's linear maps over windows of histories, by the map's name (linear_maps.hpp). For
/// quantization, calibrate on windows like those that the model will see: whole contexts, not only the first episodes.
class Calibration {
public:
  /// The inputs of one linear map.
  struct Map {
    std::string name;        ///< as in linear_maps.hpp, such as "blocks.0.mlp.up"
    InputStatistics inputs;  ///< over all tokens seen
  };

  /// Only for the maps whose names match the pattern.
  template <HasLinearMaps M>
  explicit Calibration(const M& model, std::string_view pattern = "*") {
    for_each_linear_map(model, [&](std::string_view name, const auto& map) {
      if (matches_pattern(name, pattern)) maps_.push_back({std::string{name}, InputStatistics{map.input_size()}});
    });
  }

  /// The maps that are calibrated, in the order of the model.
  [[nodiscard]] const std::vector<Map>& maps() const { return maps_; }
  /// Null where there is no such map.
  [[nodiscard]] const InputStatistics* find(std::string_view name) const {
    for (const Map& map : maps_)
      if (map.name == name) return &map.inputs;
    return nullptr;
  }

  /// Runs the model over all windows of a batch and adds the inputs of its maps. Throws Error where an input is not
  /// finite, and for windows that the model cannot read.
  template <HasLinearMaps M>
  void add(const M& model,
           const ContextBatch& windows) requires Trainable<M> && std::same_as<typename M::Scalar, float> {
    if (const std::optional<int> max = model.max_window(); max && windows.context > *max)
      fail("calibration: windows have {} steps, but the model's context is {}", windows.context, *max);
    if (windows.feature_count != model.layout.feature_count()) {
      fail("calibration: rows of the windows have {} features, the model's have {}", windows.feature_count,
           model.layout.feature_count());
    }
    typename M::Cache cache;
    Matrix<float> outputs(windows.context, output_count_of(model)), normed;
    std::vector<float> rows;
    for (int window = 0; window < windows.sequence_count; ++window) {
      const int steps = windows.lengths[static_cast<std::size_t>(window)];
      if (steps == 0) continue;
      model.forward(windows.rows_of(window, rows), steps, cache, outputs.topRows(steps));
      add_pass(model, steps, cache, normed);
    }
  }

private:
  /// The inputs of the maps are in the cache of the training pass, except for the outputs of norms, which are
  /// recomputed.
  template <typename M>
  void add_pass(const M& model, int steps, const typename M::Cache& cache, Matrix<float>& normed) {
    const Index tokens = Index{steps} * model.config.tokens_per_step();
    for (std::size_t i = 0; i < model.blocks.size(); ++i) {
      const auto& block = model.blocks[i];
      const auto& of_block = cache.blocks[i];
      const std::string name = fmt::format("blocks.{}", i);
      const auto add_normed = [&](std::string_view map, const auto& norm, const auto& norm_cache) {
        InputStatistics* const inputs = find_mutable(name, map);
        if (inputs == nullptr) return;
        normed.resize(tokens, norm.gain.size());
        norm.restore(norm_cache, normed);
        inputs->add(normed);
      };
      const auto add_rows = [&](std::string_view map, const Matrix<float>& x) {
        if (InputStatistics* const inputs = find_mutable(name, map)) inputs->add(x.topRows(tokens));
      };
      add_normed(".attention.qkv", block.attention_norm, of_block.attention_norm);
      add_rows(".attention.output", of_block.attention.mixed);
      add_normed(".mlp.up", block.feed_forward_norm, of_block.feed_forward_norm);
      add_rows(".mlp.down", of_block.feed_forward.hidden);
    }
    if (InputStatistics* const inputs = find_mutable("head", "")) inputs->add(cache.ends.normed.topRows(steps));
  }

  [[nodiscard]] InputStatistics* find_mutable(std::string_view block, std::string_view map) {
    for (Map& one : maps_)
      if (one.name.starts_with(block) && std::string_view{one.name}.substr(block.size()) == map) return &one.inputs;
    return nullptr;
  }

  std::vector<Map> maps_;
};

/// The inputs of all linear maps over `window_count` windows of the sampler.
template <HasLinearMaps M>
[[nodiscard]] Calibration calibrate(const M& model, const WindowSampler& sampler, int window_count, const Rng& rng) {
  if (window_count < 1) fail("calibrate: window_count is {}, it must be at least 1", window_count);
  if (const std::string differ = difference(sampler.layout(), model.layout); !differ.empty())
    fail("calibrate: the windows' step layout differs from the model's: {}", differ);
  ContextBatch windows;
  sampler.sample(window_count, rng, windows);
  Calibration calibration{model};
  calibration.add(model, windows);
  return calibration;
}

}  // namespace icrl
