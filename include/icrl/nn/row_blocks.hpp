// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include <icrl/core/function_ref.hpp>
#include <icrl/math/rounded_rows.hpp>

// How passes in bfloat16 walk through a window: a block of rows goes through several maps at once.
namespace icrl {

/// Gives `count` rows of a layer's input, those from `first` on, in both orders of bfloat16 (see round_scaled).
using InputBlocks = FunctionRef<void(Index first, Index count, RoundedRows rows, Buffer<Bf16Pair>& pairs)>;

/// Takes the derivative of a layer's input, its rows from `first` on.
using DerivativeBlocks = FunctionRef<void(Index first, MatrixIn<float> dx)>;

namespace detail {

/// Few enough rows to stay in the second-level cache with all that is made of them.
inline constexpr Index row_block = 48;

/// Calls compute(first, count) for blocks of up to `row_block` rows of nearly equal size, of which only the last may
/// have an odd number.
template <typename Compute>
void for_each_row_block(Index rows, Compute&& compute) {
  const Index blocks = (rows + row_block - 1) / row_block,
              size = blocks == 0 ? 0 : 2 * pair_count((rows + blocks - 1) / blocks);
  for (Index first = 0; first < rows; first += size) compute(first, std::min(size, rows - first));
}

}  // namespace detail

}  // namespace icrl
