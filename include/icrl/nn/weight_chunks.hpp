// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include <icrl/nn/parameters.hpp>

namespace icrl {

/// A contiguous part of the weights of one tensor, small enough that the data of an update of it fits into the L1 or L2
/// cache of a core.
template <typename S>
struct WeightChunk {
  std::span<S> weights;  ///< contiguous
  bool is_matrix;        ///< whether they belong to a matrix, and not to a RowVector; only matrices decay
};

/// All weights of a model that are trained, as chunks in a fixed order; S is const for a const model. Valid as long as
/// no tensor of the model is replaced or resized.
template <typename S, Parameterized M>
[[nodiscard]] std::vector<WeightChunk<S>> weight_chunks(M& model) {
  constexpr std::size_t chunk_size = 2048;
  std::vector<WeightChunk<S>> chunks;
  for (const Parameter<S>& p : parameters_of(model)) {
    if (!p.is_trained) continue;
    const std::span<S> all = p.numbers();
    for (std::size_t first = 0; first < all.size(); first += chunk_size)
      chunks.push_back({all.subspan(first, std::min(chunk_size, all.size() - first)), p.is_matrix});
  }
  return chunks;
}

namespace detail {

/// Sums in double and in separate lanes: compilers may not reorder a plain sum and could not vectorize it.
template <typename S>
[[nodiscard]] double sum_of_squares(std::span<const S> numbers) {
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

/// Moves an average by a share of its distance to the `goal`.
template <typename S>
void move_towards(std::span<const S> goal, S share, std::span<S> average) {
  for (std::size_t i = 0; i < goal.size(); ++i) average[i] += share * (goal[i] - average[i]);
}

}  // namespace detail

}  // namespace icrl
