// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include <icrl/math/bfloat16.hpp>
#include <icrl/math/matrix.hpp>

// How passes in bfloat16 walk through a window: a block of rows goes through several maps at once, so that what lies
// between them need not leave the second-level cache.
namespace icrl {

namespace detail {

/// Few enough rows to stay in the L2 cache with all intermediate results.
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
