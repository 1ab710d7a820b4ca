// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>

#include <icrl/core/assert.hpp>
#include <icrl/math/product.hpp>
#include <icrl/math/row_kernels.hpp>

namespace icrl {

/// One layer's keys and values of one stream of tokens, C numbers each, in the order in which attention reads them.
/// Values are rows of C numbers. Keys come in blocks of 64 bytes / sizeof(S) tokens: in a block, the tokens' first
/// numbers lie side by side, then their second ones, and so on. Does not own its memory.
template <std::floating_point S>
struct StreamKeyValues {
  static constexpr Index block = padded<S>(1);  ///< tokens of a block of keys

  S* keys;      ///< (blocks, C, block)
  S* values;    ///< (tokens, C)
  Index width;  ///< C

  /// Prefetches the memory that `put` will write: every number of a key is in another cache line.
  void prefetch(Index t) const {
    const S* const column = keys + t / block * width * block + t % block;
    for (Index c = 0; c < width; ++c) __builtin_prefetch(column + c * block, 1);
    for (Index c = 0; c < width; c += block) __builtin_prefetch(values + t * width + c, 1);
  }

  /// Writes token t; `key` and `value` are C numbers.
  void put(Index t, const S* key, const S* value) const {
    S* const column = keys + t / block * width * block + t % block;
    for (Index c = 0; c < width; ++c) column[c * block] = key[c];
    std::copy_n(value, width, values + t * width);
  }
};

namespace detail {

/// Sets scores[t] to the dot product of `query` and the key of token t, for all tokens of `blocks` blocks of the cache.
/// `keys` points to the head's first number in the first of them.
template <typename S, std::size_t blocks>
inline void score_blocks(const S* query, Index head_size, const S* keys, Index width, S* scores) {
  constexpr auto block = StreamKeyValues<S>::block;
  constexpr std::size_t packets = static_cast<std::size_t>(block) / lane_count<S>;
  Packet<S> sums[blocks][packets] = {};
  for (Index c = 0; c < head_size; ++c) {
    const Packet<S> number = broadcast(query[c]);
#pragma GCC unroll 4
    for (std::size_t b = 0; b < blocks; ++b) {
#pragma GCC unroll 8
      for (std::size_t p = 0; p < packets; ++p) {
        const S* const from = keys + (static_cast<Index>(b) * width + c) * block + p * lane_count<S>;
        sums[b][p] = multiply_add<S>(number, load(from), sums[b][p]);
      }
    }
  }
#pragma GCC unroll 4
  for (std::size_t b = 0; b < blocks; ++b) {
#pragma GCC unroll 8
    for (std::size_t p = 0; p < packets; ++p)
      store(scores + static_cast<Index>(b) * block + p * lane_count<S>, sums[b][p]);
  }
}

/// The scores of all heads with the tokens of `blocks` blocks from block `first` on.
template <typename S, std::size_t blocks>
inline void score_heads(const S* query, Index head_count, const StreamKeyValues<S>& past, Index first,
                        Matrix<S>& scores) {
  constexpr Index block = StreamKeyValues<S>::block;
  const Index width = past.width, size = width / head_count;
  for (Index h = 0; h < head_count; ++h) {
    score_blocks<S, blocks>(query + h * size, size, past.keys + (first * width + h * size) * block, width,
                            &scores(h, first * block));
  }
}

/// mixed[c] = the sum over tokens of weights[head of c][t] * values[t][c], for `packets` packets of columns from
/// `first` on. Heads are whole packets.
template <typename S, std::size_t packets>
inline void mix_columns(const Matrix<S>& weights, Index head_size, const S* values, Index width, Index count,
                        Index first, S* mixed) {
  std::array<const S*, packets> weight;
  for (std::size_t p = 0; p < packets; ++p)
    weight[p] = weights.data() + (first + static_cast<Index>(p) * lanes<S>) / head_size * weights.cols();
  Packet<S> sums[packets] = {};
  const S* from = values + first;
  for (Index t = 0; t < count; ++t, from += width) {
#pragma GCC unroll 16
    for (std::size_t p = 0; p < packets; ++p)
      sums[p] = multiply_add<S>(broadcast(weight[p][t]), load(from + p * lane_count<S>), sums[p]);
  }
#pragma GCC unroll 16
  for (std::size_t p = 0; p < packets; ++p) store(mixed + first + p * lane_count<S>, sums[p]);
}

}  // namespace detail

/// One token's attention over the `count` tokens of a stream, including itself: for each head, softmax(query keys^T /
/// sqrt(D)) values. query, mixed (C); `scores` (heads, padded count or more) is scratch memory.
template <std::floating_point S>
void attend(const S* query, Index head_count, const StreamKeyValues<S>& past, Index count, Matrix<S>& scores,
            S* mixed) {
  using namespace detail;
  constexpr Index block = StreamKeyValues<S>::block;
  const Index width = past.width, size = width / head_count;
  ICRL_ASSERT(scores.rows() >= head_count && scores.cols() >= padded<S>(count),
              "attend: scores must be at least (head_count, padded count)");
  const Index blocks = (count + block - 1) / block;
  // All heads of a few blocks, then the next blocks: keys are read from first to last.
  for (Index b = 0; b < blocks;) {
    const Index left = blocks - b;
    if (left >= 4) {
      score_heads<S, 4>(query, head_count, past, b, scores);
      b += 4;
    } else if (left >= 2) {
      score_heads<S, 2>(query, head_count, past, b, scores);
      b += 2;
    } else {
      score_heads<S, 1>(query, head_count, past, b, scores);
      b += 1;
    }
  }
  for (Index h = 0; h < head_count; ++h)
    softmax_row(&scores(h, 0), count, blocks * block, S(1) / std::sqrt(static_cast<S>(size)));
  if (size % lanes<S> != 0) {
    for (Index h = 0; h < head_count; ++h) {
      product<S>({.rows = 1,
                  .width = size,
                  .depth = count,
                  .a = {&scores(h, 0), scores.cols(), 1},
                  .b = {past.values + h * size, width, 1},
                  .c = mixed + h * size,
                  .c_stride = width});
    }
    return;
  }
  Index c = 0;
  for (; c + 16 * lanes<S> <= width; c += 16 * lanes<S>)
    mix_columns<S, 16>(scores, size, past.values, width, count, c, mixed);
  for (; c + 8 * lanes<S> <= width; c += 8 * lanes<S>)
    mix_columns<S, 8>(scores, size, past.values, width, count, c, mixed);
  for (; c + 4 * lanes<S> <= width; c += 4 * lanes<S>)
    mix_columns<S, 4>(scores, size, past.values, width, count, c, mixed);
  for (; c < width; c += lanes<S>) mix_columns<S, 1>(scores, size, past.values, width, count, c, mixed);
}

}  // namespace icrl
