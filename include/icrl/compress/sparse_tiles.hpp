// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <vector>

#include <icrl/math/matrix.hpp>
#include <icrl/math/packet.hpp>
#include <icrl/math/product_kernel.hpp>

// How sparse linear maps walk through their outputs. Panels of 16 outputs lie in groups, and a tile of a few rows by a
// group of panels stays in registers while the kernel runs through the weights that are there. Every output is one
// chain of fused multiply-adds in the order of its inputs, from its bias on, as it is in a dense product: the results
// are the same, because a weight of zero adds nothing. Four packets are summed at a time, which hides how long each
// takes.
namespace icrl::detail {

inline constexpr Index sparse_panel = 16;  ///< outputs of a panel
inline constexpr std::size_t packets_of_sparse_panel = 16 / lane_count<float>;
/// Panels of a group.
inline constexpr std::size_t grouped_panels = 4 / packets_of_sparse_panel;
inline constexpr Index grouped_outputs = sparse_panel * static_cast<Index>(grouped_panels);

/// Panels of all groups; those of a group lie side by side in memory, the last group may have fewer.
inline Index panel_count(Index outputs) { return (outputs + sparse_panel - 1) / sparse_panel; }
inline Index panels_of_group(Index outputs, Index first_output) {
  return std::min(static_cast<Index>(grouped_panels), panel_count(outputs - first_output));
}

/// Some rows of the input, and where their outputs of one group of whole panels are written.
struct SparseTile {
  const float* x;
  Index x_stride;
  float* y;
  Index y_stride;
  const float* bias;
  bool accumulate;
};

/// The accumulators of a tile.
template <std::size_t rows, std::size_t panels>
struct SparseSums {
  static constexpr std::size_t packets = panels * packets_of_sparse_panel;
  Packet<float> sums[rows][packets];

  explicit SparseSums(const SparseTile& tile) {
#pragma GCC unroll 4
    for (std::size_t r = 0; r < rows; ++r) {
#pragma GCC unroll 4
      for (std::size_t p = 0; p < packets; ++p) {
        const Packet<float> bias = load(tile.bias + p * lane_count<float>);
        const float* const y = tile.y + static_cast<Index>(r) * tile.y_stride + p * lane_count<float>;
        sums[r][p] = tile.accumulate ? load(y) + bias : bias;
      }
    }
  }
  void store_to(const SparseTile& tile) const {
#pragma GCC unroll 4
    for (std::size_t r = 0; r < rows; ++r) {
#pragma GCC unroll 4
      for (std::size_t p = 0; p < packets; ++p)
        store(tile.y + static_cast<Index>(r) * tile.y_stride + p * lane_count<float>, sums[r][p]);
    }
  }
};

/// Calls `kernel(tile, rows)` until all rows are done, where `rows` is an integral constant.
template <typename Kernel>
void for_row_tiles(SparseTile tile, Index row_count, Kernel&& kernel) {
  const auto run = [&](auto rows) {
    kernel(tile, rows);
    tile.x += Index{rows} * tile.x_stride;
    tile.y += Index{rows} * tile.y_stride;
    row_count -= Index{rows};
  };
  if constexpr (register_count == 32) {
    while (row_count >= 4) run(std::integral_constant<std::size_t, 4>{});
  }
  while (row_count >= 2) run(std::integral_constant<std::size_t, 2>{});
  if (row_count == 1) run(std::integral_constant<std::size_t, 1>{});
}

/// Calls `kernel` with the number of panels as an integral constant.
template <std::size_t most = grouped_panels, typename Kernel>
void with_panel_count(Index panels, Kernel&& kernel) {
  if constexpr (most > 1) {
    if (panels < static_cast<Index>(most)) return with_panel_count<most - 1>(panels, kernel);
  }
  kernel(std::integral_constant<std::size_t, most>{});
}

/// Calls `work(tile, rows, first output)` for every group of panels. If the last panel is not full, outputs go through
/// a temporary buffer, a few rows at a time. `bias` is padded to whole panels.
template <typename Work>
void for_panel_groups(MatrixIn<float> x, const std::vector<float>& bias, MatrixOut<float> y, bool accumulate,
                      Work&& work) {
  const Index rows = x.rows(), outputs = y.cols();
  for (Index first = 0; first < outputs; first += grouped_outputs) {
    const Index width = std::min(grouped_outputs, outputs - first);
    const SparseTile tile{x.data(),        x.outerStride(),     y.data() + first,
                          y.outerStride(), bias.data() + first, accumulate};
    if (width % sparse_panel == 0) {
      work(tile, rows, first);
      continue;
    }
    constexpr Index chunk = 8;
    alignas(64) float beside[chunk * grouped_outputs] = {};
    for (Index r = 0; r < rows; r += chunk) {
      const Index count = std::min(chunk, rows - r);
      for (Index i = 0; accumulate && i < count; ++i)
        std::copy_n(tile.y + (r + i) * tile.y_stride, width, beside + i * grouped_outputs);
      work({tile.x + r * tile.x_stride, tile.x_stride, beside, grouped_outputs, tile.bias, accumulate}, count, first);
      for (Index i = 0; i < count; ++i)
        std::copy_n(beside + i * grouped_outputs, width, tile.y + (r + i) * tile.y_stride);
    }
  }
}

}  // namespace icrl::detail
