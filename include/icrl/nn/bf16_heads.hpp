// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>

#include <icrl/math/bf16_rows.hpp>
#include <icrl/math/product.hpp>
#include <icrl/nn/score_blocks.hpp>

namespace icrl {

/// The heads of causal attention with factors in bfloat16 and sums, softmax and derivatives in float. Each head has an
/// even number D of numbers. Formulas: see CausalAttention. Instead of P, this class stores E = e^(scores - largest),
/// where P = E / r and r are the sums of the rows. It divides the outputs and their derivatives by r instead: O = E V /
/// r; and with dO' = dO / r, dV = E^T dO' and dS = E * (dO' V^T - rowsum(dO' * O)) s.
struct Bf16Heads {
  Index width, head_count;  ///< H D, here named C; H

  /// The results of the forward pass that backward needs.
  struct Cache {
    Buffer<Bf16Pair> query_key_pairs;  ///< (pairs of T, 2C)
    Buffer<Bf16Pair> value_rows;       ///< (T, pairs of C)
    Buffer<Bf16Pair> exponentials;     ///< (H, triangle): E in ScoreColumns
    Buffer<float> inverse_sums;        ///< (T, H): 1 / r
  };
  /// Temporary memory of one call, which all layers of a pass may share.
  struct Scratch {
    Buffer<Bf16Pair> query_key_rows, value_pairs;  ///< (T, pairs of 2C), (pairs of T, C)
    Buffer<Bf16Pair> dmixed_rows, dmixed_pairs;    ///< (T, pairs of C), (pairs of T, C): dO'
    Buffer<float> means;                           ///< (T, H): rowsum(dO' * O)
    Buffer<Bf16Pair> transposed;                   ///< (pairs of D, padded T): one head's keys or values
    Buffer<float> scores;                          ///< (block, padded T), or their derivatives
    Buffer<Bf16Pair> rows;                         ///< (block, pairs of padded T): E or dS
    Buffer<Bf16Pair> dscores;                      ///< (1, triangle): a head's dS in ScoreColumns
    Buffer<float> mixed;                           ///< (block, D): E V
  };

  /// Sizes both for a pass. The backward pass may use another scratch memory.
  void reserve(Index tokens, Cache& cache, Scratch& scratch) const {
    reserve_rows(cache.query_key_pairs, pair_count(tokens), 2 * width);
    reserve_rows(cache.value_rows, tokens, pair_count(width));
    reserve_rows(cache.inverse_sums, tokens, head_count);
    detail::reserve_columns(cache.exponentials, head_count, triangle(tokens));
    reserve(tokens, scratch);
  }
  void reserve(Index tokens, Scratch& scratch) const {
    const Index most = std::max(Blocks::whole(tokens), scratch.scores.cols()), size = width / head_count;
    reserve_rows(scratch.query_key_rows, tokens, width);
    reserve_rows(scratch.value_pairs, pair_count(tokens), width);
    reserve_rows(scratch.dmixed_rows, tokens, pair_count(width));
    reserve_rows(scratch.dmixed_pairs, pair_count(tokens), width);
    reserve_rows(scratch.means, tokens, head_count);
    reserve_rows(scratch.transposed, size / 2, most);
    reserve_rows(scratch.scores, block, most);
    reserve_rows(scratch.rows, block, most / 2);
    reserve_rows(scratch.mixed, block, size);
    detail::reserve_columns(scratch.dscores, 1, triangle(tokens));
  }

  /// Rounds queries, keys and values of the tokens first .. : qkv (block, 3C). `first` is even, and so are all blocks
  /// but the last one.
  void take_input(MatrixIn<float> qkv, Index first, Cache& cache, Scratch& scratch) const {
    round_both(qkv.leftCols(2 * width), first, {scratch.query_key_rows, first}, cache.query_key_pairs);
    round_both(qkv.rightCols(width), first, {cache.value_rows, first}, scratch.value_pairs);
  }

  /// mixed (T, pairs of C).
  void forward(Index tokens, Cache& cache, Scratch& scratch, Buffer<Bf16Pair>& mixed) const {
    const Index size = width / head_count;
    reserve_rows(mixed, tokens, pair_count(width));
    for (Index h = 0; h < head_count; ++h) {
      transpose(scratch.query_key_rows, width + h * size, tokens, scratch);
      for (Index first = 0; first < tokens; first += block) {
        const Index last = std::min(first + block, tokens), rows = last - first;
        exponentiate_block(cache, scratch, h, first, tokens);
        detail::product<Bf16Pair>({.rows = rows,
                                   .width = size,
                                   .depth = pair_count(last),
                                   .a = {scratch.rows.data(), (first + block) / 2, 1},
                                   .b = detail::rows_of(scratch.value_pairs, 0, h * size),
                                   .c = scratch.mixed.data(),
                                   .c_stride = size});
        for (Index r = 0; r < rows; ++r) {
          round_scaled_row(&scratch.mixed(r, 0), cache.inverse_sums(first + r, h), size,
                           &mixed(first + r, h * size / 2));
        }
      }
    }
  }

  /// Computes dO' of the tokens first .. from dO: dmixed (block, C). mixed (T, pairs of C) is the result of forward.
  /// Blocks as in `take_input`.
  void take_derivative(const Buffer<Bf16Pair>& mixed, MatrixIn<float> dmixed, Index first, const Cache& cache,
                       Scratch& scratch) const {
    const Index size = width / head_count, last = first + dmixed.rows();
    for (Index t = first; t < last; ++t) {
      for (Index h = 0; h < head_count; ++h) {
        const Index column = h * size;
        scratch.means(t, h) = round_scaled_row(row_data(dmixed, t - first) + column, cache.inverse_sums(t, h), size,
                                               &scratch.dmixed_rows(t, column / 2), &mixed(t, column / 2));
      }
    }
    for (Index t = first; t < last; t += 2) {
      detail::interleave_rows(row_data(scratch.dmixed_rows, t),
                              t + 1 < last ? row_data(scratch.dmixed_rows, t + 1) : nullptr, width,
                              row_data(scratch.dmixed_pairs, t / 2));
    }
  }

  /// Overwrites the first rows of dqkv (T, 3C).
  void backward(Index tokens, const Cache& cache, Scratch& scratch, Matrix<float>& dqkv) const {
    const Index size = width / head_count;
    for (Index h = 0; h < head_count; ++h) {
      transpose(cache.value_rows, h * size, tokens, scratch);
      for (Index first = 0; first < tokens; first += block) queries_backward(cache, scratch, h, first, tokens, dqkv);
      for (Index column = 0; column < Blocks::count(tokens); ++column)
        keys_backward(cache, scratch, h, column, tokens, dqkv);
    }
  }

private:
  using Blocks = detail::ScoreBlocks;
  using Columns = detail::ScoreColumns;
  static constexpr Index block = Blocks::rows;

  [[nodiscard]] float scale() const {
    const Index size = width / head_count;
    return 1 / std::sqrt(static_cast<float>(size));
  }

  static Index triangle(Index tokens) { return Columns{tokens}.begin(Blocks::count(tokens)); }

  /// Transposes one head's columns, from `column` on, and pads them with zeros: the padding is multiplied by zeros
  /// later, and an infinity left there would give NaN.
  void transpose(const Buffer<Bf16Pair>& rows, Index column, Index tokens, Scratch& scratch) const {
    const Index pairs = width / head_count / 2;
    detail::pack_panel<Bf16Pair>({&rows(0, column / 2), 1, rows.cols()}, pairs, tokens, scratch.transposed.data(),
                                 scratch.transposed.cols());
    clear_columns(scratch.transposed, pairs, tokens, padded<float>(tokens) - tokens);
  }

  /// scores = a block of rows of `a` times the transposed matrix. If the last pair has only one row, the other becomes
  /// zero.
  static void score_block(const detail::Strided<Bf16Pair>& a, Index pairs, Index first, Index tokens,
                          Scratch& scratch) {
    const Index last = std::min(first + block, tokens), rows = last - first, stride = first + block;
    float* const scores = scratch.scores.data();
    detail::product<Bf16Pair>({.rows = rows,
                               .width = padded<float>(last),
                               .depth = pairs,
                               .a = a,
                               .b = detail::rows_of(scratch.transposed, 0, 0),
                               .c = scores,
                               .c_stride = stride});
    if (rows % 2 != 0) std::fill_n(scores + rows * stride, stride, 0.0f);
  }

  /// E of head h and the queries first .., to `rows` and to the cache. `transposed` holds the head's keys.
  void exponentiate_block(Cache& cache, Scratch& scratch, Index h, Index first, Index tokens) const {
    const Index size = width / head_count, stride = first + block;
    score_block(detail::rows_of(scratch.query_key_rows, first, h * size / 2), size / 2, first, tokens, scratch);
    const Columns columns{tokens};
    for (Index r = 0; r < std::min(block, tokens - first); r += 2) {
      const float* const scores = scratch.scores.data() + r * stride;
      Bf16Pair* const rows = scratch.rows.data() + r * stride / 2;
      const auto inverse =
          round_exponentials({scores, scores + stride}, first + r + 1, stride, scale(), {rows, rows + stride / 2},
                             [&](Index i) { return &cache.exponentials(h, at(columns, i, first + r)); });
      cache.inverse_sums(first + r, h) = inverse[0];
      if (first + r + 1 < tokens) cache.inverse_sums(first + r + 1, h) = inverse[1];
    }
  }

  /// The packet of keys from `key` on, for the pair of queries that begins with `query`.
  static Index at(const Columns& columns, Index key, Index query) {
    return columns.at(key / Columns::keys, query / 2) + key % Columns::keys;
  }

  /// dS of head h and the queries first .., to `rows` and `dscores`, and their dQ. `transposed` holds the head's
  /// values.
  void queries_backward(const Cache& cache, Scratch& scratch, Index h, Index first, Index tokens,
                        Matrix<float>& dqkv) const {
    const Index size = width / head_count, last = std::min(first + block, tokens), rows = last - first,
                stride = first + block, column = h * size;
    score_block(detail::rows_of(scratch.dmixed_rows, first, column / 2), size / 2, first, tokens, scratch);
    const Columns columns{tokens};
    for (Index r = 0; r < rows; r += 2) {
      const float* const d = scratch.scores.data() + r * stride;
      Bf16Pair* const to = scratch.rows.data() + r * stride / 2;
      const Index query = first + r;
      round_score_derivatives(
          {d, d + stride}, {scratch.means(query, h), query + 1 < tokens ? scratch.means(query + 1, h) : 0}, stride,
          scale(), [&](Index i) { return &cache.exponentials(h, at(columns, i, query)); }, {to, to + stride / 2},
          [&](Index i) { return &scratch.dscores(0, at(columns, i, query)); });
    }
    detail::product<Bf16Pair>({.rows = rows,
                               .width = size,
                               .depth = pair_count(last),
                               .a = {scratch.rows.data(), stride / 2, 1},
                               .b = detail::rows_of(cache.query_key_pairs, 0, width + column),
                               .c = &dqkv(first, column),
                               .c_stride = dqkv.cols()});
  }

  /// dK and dV of head h and a column of keys.
  void keys_backward(const Cache& cache, Scratch& scratch, Index h, Index column, Index tokens,
                     Matrix<float>& dqkv) const {
    const Index size = width / head_count, first = column * Columns::keys, pair = Columns::first(column),
                rows = std::min(Columns::keys, tokens - first), depth = pair_count(tokens) - pair;
    const Index begin = Columns{tokens}.begin(column);
    detail::product<Bf16Pair>({.rows = rows,
                               .width = size,
                               .depth = depth,
                               .a = {&scratch.dscores(0, begin), 1, Columns::keys},
                               .b = detail::rows_of(cache.query_key_pairs, pair, h * size),
                               .c = &dqkv(first, width + h * size),
                               .c_stride = dqkv.cols()});
    detail::product<Bf16Pair>({.rows = rows,
                               .width = size,
                               .depth = depth,
                               .a = {&cache.exponentials(h, begin), 1, Columns::keys},
                               .b = detail::rows_of(scratch.dmixed_pairs, pair, h * size),
                               .c = &dqkv(first, 2 * width + h * size),
                               .c_stride = dqkv.cols()});
  }
};

}  // namespace icrl
