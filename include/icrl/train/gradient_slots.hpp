// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include <icrl/core/parallel.hpp>
#include <icrl/nn/parameters.hpp>

namespace icrl {

/// A run of neighbouring weights of one tensor, small enough that all that an update reads of it fits into a core's own
/// cache.
template <typename S>
struct WeightChunk {
  std::span<S> weights;
  bool is_matrix;
};

/// All weights of a model as chunks, in a fixed order. Valid as long as no tensor of the model is replaced or resized.
template <typename S, Parameterized M>
[[nodiscard]] std::vector<WeightChunk<S>> weight_chunks(M& model) {
  constexpr std::size_t chunk_size = 2048;
  std::vector<WeightChunk<S>> chunks;
  for (const Parameter<S>& p : parameters_of(model)) {
    const std::span<S> all = p.numbers();
    for (std::size_t first = 0; first < all.size(); first += chunk_size)
      chunks.push_back({all.subspan(first, std::min(chunk_size, all.size() - first)), p.is_matrix});
  }
  return chunks;
}

/// The gradient of a batch in a fixed number of parts. Each part sums a fixed run of the batch in order and the parts
/// are summed along a fixed tree, so that the sum has the same bits whichever thread worked on what.
template <Parameterized M>
class GradientSlots {
public:
  using Scalar = typename M::Scalar;

  GradientSlots(const M& model, int slot_count) : gradients_(static_cast<std::size_t>(slot_count), model) {
    for (M& gradient : gradients_) chunks_.push_back(weight_chunks<Scalar>(gradient));
    squares_.resize(chunks_.front().size());
  }
  GradientSlots(const GradientSlots&) = delete;
  GradientSlots& operator=(const GradientSlots&) = delete;

  [[nodiscard]] int slot_count() const { return static_cast<int>(gradients_.size()); }
  [[nodiscard]] int chunk_count() const { return static_cast<int>(squares_.size()); }

  /// Slot `slot` with all its numbers zero.
  [[nodiscard]] M& cleared(int slot) {
    for (const auto& chunk : chunks_[static_cast<std::size_t>(slot)])
      std::fill(chunk.weights.begin(), chunk.weights.end(), Scalar(0));
    return gradients_[static_cast<std::size_t>(slot)];
  }

  /// Sums all slots into the first and returns the sum's norm.
  double reduce(WorkerPool& pool) {
    pool.run(chunk_count(), [this](int chunk, int) { reduce_chunk(static_cast<std::size_t>(chunk)); });
    double total = 0;
    for (const double square : squares_) total += square;
    return std::sqrt(total);
  }

  /// A chunk of the sum.
  [[nodiscard]] std::span<const Scalar> sum(int chunk) const {
    return chunks_.front()[static_cast<std::size_t>(chunk)].weights;
  }

private:
  void reduce_chunk(std::size_t chunk) {
    for (std::size_t stride = 1; stride < chunks_.size(); stride *= 2) {
      for (std::size_t slot = 0; slot + stride < chunks_.size(); slot += 2 * stride)
        add(chunks_[slot + stride][chunk].weights, chunks_[slot][chunk].weights);
    }
    squares_[chunk] = sum_of_squares(chunks_.front()[chunk].weights);
  }

  static void add(std::span<const Scalar> from, std::span<Scalar> to) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
  }

  /// In double and in lanes of its own: a compiler may not reorder a plain sum, and so could not vectorise it.
  static double sum_of_squares(std::span<const Scalar> numbers) {
    constexpr std::size_t lane_count = 16;
    double lanes[lane_count] = {};
    std::size_t i = 0;
    for (; i + lane_count <= numbers.size(); i += lane_count) {
      for (std::size_t lane = 0; lane < lane_count; ++lane) {
        const auto x = static_cast<double>(numbers[i + lane]);
        lanes[lane] += x * x;
      }
    }
    double total = 0;
    for (; i < numbers.size(); ++i) total += static_cast<double>(numbers[i]) * static_cast<double>(numbers[i]);
    for (const double lane : lanes) total += lane;
    return total;
  }

  std::vector<M> gradients_;
  std::vector<std::vector<WeightChunk<Scalar>>> chunks_;  // by slot, then by chunk
  std::vector<double> squares_;                           // by chunk
};

}  // namespace icrl
