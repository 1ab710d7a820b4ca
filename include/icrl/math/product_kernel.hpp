// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include <icrl/math/packet.hpp>

// The matrix product's inner part. A tile of C (a few rows by a few packets) stays in registers while the depth runs;
// A is broadcast number by number from wherever it lies, so one kernel serves A and A transposed; B comes in rows.
// Every element of C is one chain of fused multiply-adds in the order of the depth, whatever the tile: a row's result
// does not depend on how many rows are computed with it. A and B hold numbers (In = float, double) or pairs of bfloat16
// that are neighbors in the depth (In = Bf16Pair), whose products are summed in float, the second of a pair first.
namespace icrl::detail {

#if defined(__AVX512F__)
inline constexpr std::size_t register_count = 32;
#else
inline constexpr std::size_t register_count = 16;
#endif

/// Rows of a tile that is `packets` wide: as many as leave registers for B's packets and one number of A. With more
/// than 8 rows, the offsets would not fit into the scalar registers.
constexpr std::size_t tile_rows(std::size_t packets) {
  return std::min<std::size_t>(8, (register_count - packets - 1) / packets);
}

/// A view of a matrix in which element (i, j) is data[i * row_stride + j * column_stride].
template <typename S>
struct Strided {
  const S* data;
  Index row_stride;
  Index column_stride;
};

/// C = A B, where A is rows x depth, B is depth x width, and C is rows x width with contiguous rows. In = Bf16Pair
/// counts the depth in pairs.
template <typename In>
struct Gemm {
  using Sum = ProductSum<In>;

  Index rows, width, depth;
  Strided<In> a;
  Strided<In> b{};  ///< unused with a PackedMatrix, which is B itself
  Sum* c;
  Index c_stride;
  bool accumulate = false;    ///< C += A B
  const Sum* bias = nullptr;  ///< added to every row of C
};

/// Advances by `stride` and hides the sum from the compiler. Otherwise the compiler would compute the addresses of all
/// rows of a tile at once. They do not fit into the scalar registers, and in vector registers they would wait for
/// multiply-adds.
template <typename S>
inline void next_row(S*& row, Index stride) {
  row += stride;
  asm("" : "+r"(row));
}

/// The tile of C that begins at (row, column). B's rows are contiguous. `next_rows` is the number of rows of C directly
/// below this tile that are computed next; they are prefetched during the loop over the depth.
template <typename In, std::size_t rows, std::size_t packets>
inline void product_tile(const Gemm<In>& gemm, Index row, Index column, Index next_rows) {
  using S = ProductSum<In>;
  const Strided<In>& a = gemm.a;
  const Index depth = gemm.depth, b_stride = gemm.b.row_stride, c_stride = gemm.c_stride;
  const bool accumulate = gemm.accumulate;
  const S* const bias = gemm.bias;
  const In *a_column = a.data + row * a.row_stride, *b = gemm.b.data + column;
  S* c = gemm.c + row * c_stride + column;
  Packet<S> sums[rows][packets];
  alignas(64) static constexpr S zeros[packets * lane_count<S>] = {};
  const S* start = accumulate ? c : bias != nullptr ? bias + column : zeros;
#pragma GCC unroll 16
  for (std::size_t r = 0; r < rows; ++r) {
#pragma GCC unroll 8
    for (std::size_t p = 0; p < packets; ++p) sums[r][p] = load(start + p * lane_count<S>);
    next_row(start, accumulate ? c_stride : 0);
  }
  if (accumulate && bias != nullptr) {
#pragma GCC unroll 16
    for (std::size_t r = 0; r < rows; ++r) {
#pragma GCC unroll 8
      for (std::size_t p = 0; p < packets; ++p) sums[r][p] += load(bias + column + p * lane_count<S>);
    }
  }
  const S* next = c + static_cast<Index>(rows) * c_stride;
  for (Index k = 0; k < depth; ++k, b += b_stride, a_column += a.column_stride) {
    if (k < next_rows) {
#pragma GCC unroll 8
      for (std::size_t p = 0; p < packets; ++p) __builtin_prefetch(next + p * lane_count<S>, 1);
      next += c_stride;
    }
    // Of a transposed A every k is on a line of its own: the one that the tiles below read. Low tiles have none below.
    if constexpr (rows > 2) __builtin_prefetch(a_column + 64 / sizeof(In));
    Packet<In> b_row[packets];
#pragma GCC unroll 8
    for (std::size_t p = 0; p < packets; ++p) b_row[p] = load(b + p * lane_count<S>);
#pragma GCC unroll 16
    for (std::size_t r = 0; r < rows; ++r) {
      const Packet<In> a_value = load_to_all(a_column + static_cast<Index>(r) * a.row_stride);
#pragma GCC unroll 8
      for (std::size_t p = 0; p < packets; ++p) sums[r][p] = add_product<In>(a_value, b_row[p], sums[r][p]);
    }
  }
#pragma GCC unroll 16
  for (std::size_t r = 0; r < rows; ++r) {
#pragma GCC unroll 8
    for (std::size_t p = 0; p < packets; ++p) store(c + p * lane_count<S>, sums[r][p]);
    next_row(c, c_stride);
  }
}

/// All rows of one column panel of C: tiles of full height, then lower ones for the remaining rows. There are only a
/// few such heights, because every tile adds to the compile time.
template <typename In, std::size_t packets>
void product_panel(const Gemm<In>& gemm) {
  constexpr auto most = static_cast<Index>(tile_rows(packets));
  static_assert(most < 9, "what full tiles leave is one tile each of 4, 2 and 1 rows at most");
  Index row = 0;
  const auto next_tile = [&](auto rows) {
    product_tile<In, rows, packets>(gemm, row, 0, std::min(gemm.rows - row - Index{rows}, most));
    row += Index{rows};
  };
  while (gemm.rows - row >= most) next_tile(std::integral_constant<std::size_t, tile_rows(packets)>{});
  if (gemm.rows - row >= 4) next_tile(std::integral_constant<std::size_t, 4>{});
  if (gemm.rows - row >= 2) next_tile(std::integral_constant<std::size_t, 2>{});
  if (gemm.rows - row >= 1) next_tile(std::integral_constant<std::size_t, 1>{});
}

}  // namespace icrl::detail
