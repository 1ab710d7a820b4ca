// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include <icrl/math/bfloat16.hpp>
#include <icrl/math/product.hpp>

namespace icrl::detail {

/// The lower triangle of a (T, T) matrix of scores in blocks of rows, one after another; each block has the columns
/// that its last row attends to. The rows of a block are computed together; their number fills whole cache lines.
struct ScoreBlocks {
  static constexpr Index rows = 16;
  static_assert(rows == padded<float>(1), "the width of a block is a whole number of packets, too");

  static constexpr Index count(Index tokens) { return (tokens + rows - 1) / rows; }
  /// Tokens in whole blocks.
  static constexpr Index whole(Index tokens) { return count(tokens) * rows; }
  /// Numbers in the first `blocks` blocks.
  static constexpr Index triangle(Index blocks) { return rows * rows * (blocks * (blocks + 1) / 2); }
};

/// The same triangle in columns of 16 keys, with pairs along the queries: column after column, each from its first
/// query down to the last one. The pairs of a column are the transpose of a left factor whose depth is the queries.
struct ScoreColumns {
  static constexpr Index keys = ScoreBlocks::rows;
  Index query_pairs;

  explicit ScoreColumns(Index tokens) : query_pairs{pair_count(tokens)} {}

  /// The first pair of queries that attends to a column.
  static constexpr Index first(Index column) { return column * keys / 2; }
  /// Where a column begins, and the number of pairs in all columns before it.
  [[nodiscard]] Index begin(Index column) const {
    return keys * (column * query_pairs - keys / 2 * (column * (column - 1) / 2));
  }
  /// The position of the `keys` pairs of a pair of queries in a column.
  [[nodiscard]] Index at(Index column, Index pair) const { return begin(column) + (pair - first(column)) * keys; }
};

/// As reserve_rows, but a buffer that has more columns keeps them.
template <typename S>
void reserve_columns(Buffer<S>& buffer, Index rows, Index columns) {
  reserve_rows(buffer, rows, std::max(columns, buffer.cols()));
}

template <typename M>
auto rows_of(const M& m, Index row, Index column) {
  return Strided<typename M::Scalar>{&m(row, column), m.outerStride(), 1};
}

}  // namespace icrl::detail
