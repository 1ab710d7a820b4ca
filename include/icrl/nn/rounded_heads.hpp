// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>

#include <icrl/math/bfloat16.hpp>
#include <icrl/math/row_kernels.hpp>
#include <icrl/nn/score_blocks.hpp>

namespace icrl {

/// The heads of causal attention with factors in bfloat16 and sums, softmax and derivatives in float. Each head has an
/// even number D of numbers. Formulas: see CausalAttention.
struct RoundedHeads {
  Index width, head_count;

  /// What backward needs of the forward pass.
  struct Cache {
    Matrix<Bf16Pair> qkv;            ///< (T, pairs of 3C)
    Matrix<Bf16Pair> probabilities;  ///< (H, pairs of the triangle), as in CausalAttention::Cache
  };
  /// What is of use within one call only, and so may serve all layers of a pass.
  struct Scratch {
    Matrix<Bf16Pair> transposed;                       ///< (pairs of D, padded T): one head's keys or values
    Matrix<Bf16Pair> queries_keys, values;             ///< (pairs of T, 2C), (pairs of T, C)
    Matrix<Bf16Pair> dmixed, dmixed_pairs;             ///< (T, pairs of C), (pairs of T, C)
    Matrix<float> scores;                              ///< (block, padded T), or their derivatives
    Matrix<Bf16Pair> dscores;                          ///< (block, pairs of padded T)
    Matrix<Bf16Pair> dscore_pairs, probability_pairs;  ///< (pairs of a block, padded T)
  };

  /// qkv (T, 3C), mixed (T, C).
  void forward(MatrixIn<float> qkv, Cache& cache, Scratch& scratch, MatrixOut<float> mixed) const {
    const Index tokens = qkv.rows(), size = width / head_count;
    reserve(scratch, tokens);
    round_rows(qkv, cache.qkv);
    detail::reserve_columns(cache.probabilities, head_count, Blocks::triangle(Blocks::count(tokens)) / 2);
    pair_rows(cache.qkv, tokens, 2 * width, width, scratch.values);
    const float scale = 1 / std::sqrt(static_cast<float>(size));
    for (Index h = 0; h < head_count; ++h) {
      transpose(cache, width + h * size, tokens, scratch);
      for (Index first = 0; first < tokens; first += block) {
        const Index last = std::min(first + block, tokens), stride = first + block;
        float* const scores = scratch.scores.data();
        Bf16Pair* const probabilities = &cache.probabilities(h, Blocks::triangle(first / block) / 2);
        multiply(last - first, padded<float>(last), size / 2, detail::rows_of(cache.qkv, first, h * size / 2),
                 detail::rows_of(scratch.transposed, 0, 0), scores, stride, false);
        for (Index r = 0; r < last - first; ++r) {
          float* const row = scores + r * stride;
          const float inverse = exponentiate_row(row, first + r + 1, stride, scale);
          detail::round_packets(stride, probabilities + r * stride / 2,
                                [&](Index i) -> detail::Packet<float> { return detail::load(row + i) * inverse; });
        }
        multiply(last - first, size, pair_count(last), {probabilities, stride / 2, 1},
                 detail::rows_of(scratch.values, 0, h * size), &mixed(first, h * size), mixed.outerStride(), false);
      }
    }
  }

  /// Overwrites dqkv (T, 3C). mixed, dmixed (T, C).
  void backward(MatrixIn<float> mixed, MatrixIn<float> dmixed, const Cache& cache, Scratch& scratch,
                MatrixOut<float> dqkv) const {
    const Index tokens = mixed.rows(), size = width / head_count;
    reserve(scratch, tokens);
    pair_rows(cache.qkv, tokens, 0, 2 * width, scratch.queries_keys);
    round_rows(dmixed, scratch.dmixed);
    pair_rows(scratch.dmixed, tokens, 0, width, scratch.dmixed_pairs);
    dqkv.rightCols(2 * width).setZero();
    for (Index h = 0; h < head_count; ++h) {
      transpose(cache, 2 * width + h * size, tokens, scratch);
      for (Index first = 0; first < tokens; first += block)
        block_backward(mixed, dmixed, cache, scratch, h, first, dqkv);
    }
  }

private:
  using Blocks = detail::ScoreBlocks;
  static constexpr Index block = Blocks::rows;

  void reserve(Scratch& scratch, Index tokens) const {
    const Index most = std::max(Blocks::whole(tokens), scratch.scores.cols());
    reserve_rows(scratch.transposed, width / head_count / 2, most);
    reserve_rows(scratch.scores, block, most);
    reserve_rows(scratch.dscores, block, most / 2);
    reserve_rows(scratch.dscore_pairs, block / 2, most);
    reserve_rows(scratch.probability_pairs, block / 2, most);
  }

  static void multiply(Index rows, Index columns, Index depth, const detail::Strided<Bf16Pair>& a,
                       const detail::Strided<Bf16Pair>& b, float* c, Index c_stride, bool accumulate) {
    detail::product<Bf16Pair>(rows, columns, depth, a, b, c, c_stride, accumulate);
  }

  /// Transposes one head's columns of qkv, from `column` on, and pads them with zeros: what lies beyond is multiplied
  /// by zeros, which would not undo an infinity.
  void transpose(const Cache& cache, Index column, Index tokens, Scratch& scratch) const {
    const Index pairs = width / head_count / 2;
    detail::pack_panel<Bf16Pair>({&cache.qkv(0, column / 2), 1, cache.qkv.cols()}, pairs, tokens,
                                 scratch.transposed.data(), scratch.transposed.cols());
    scratch.transposed.topRows(pairs).middleCols(tokens, padded<float>(tokens) - tokens).setZero();
  }

  void block_backward(MatrixIn<float> mixed, MatrixIn<float> dmixed, const Cache& cache, Scratch& scratch, Index h,
                      Index first, MatrixOut<float> dqkv) const {
    const Index size = width / head_count, last = std::min(first + block, mixed.rows()), rows = last - first,
                stride = first + block, column = h * size;
    const float scale = 1 / std::sqrt(static_cast<float>(size));
    const Bf16Pair* const probabilities = &cache.probabilities(h, Blocks::triangle(first / block) / 2);
    float* const dprobabilities = scratch.scores.data();
    Bf16Pair* const dscores = scratch.dscores.data();
    multiply(rows, padded<float>(last), size / 2, detail::rows_of(scratch.dmixed, first, column / 2),
             detail::rows_of(scratch.transposed, 0, 0), dprobabilities, stride, false);
    for (Index r = 0; r < rows; ++r) {
      const float mean = dot(row_data(mixed, first + r) + column, row_data(dmixed, first + r) + column, size);
      const float* const d = dprobabilities + r * stride;
      const Bf16Pair* const p = probabilities + r * stride / 2;
      detail::round_packets(stride, dscores + r * stride / 2, [&](Index i) -> detail::Packet<float> {
        return detail::load_rounded(p + i / 2) * scale * (detail::load(d + i) - mean);
      });
    }
    for (Index r = 0; r < rows; r += 2) {
      const auto below = [&](const Bf16Pair* m) { return r + 1 < rows ? m + (r + 1) * stride / 2 : nullptr; };
      detail::interleave_rows(dscores + r * stride / 2, below(dscores), stride, row_data(scratch.dscore_pairs, r / 2));
      detail::interleave_rows(probabilities + r * stride / 2, below(probabilities), stride,
                              row_data(scratch.probability_pairs, r / 2));
    }
    const Index queries = column, keys = width + column, values = 2 * width + column, dstride = dqkv.outerStride();
    multiply(rows, size, pair_count(last), {dscores, stride / 2, 1}, detail::rows_of(scratch.queries_keys, 0, keys),
             &dqkv(first, queries), dstride, false);
    multiply(last, size, pair_count(rows), {scratch.dscore_pairs.data(), 1, scratch.dscore_pairs.cols()},
             detail::rows_of(scratch.queries_keys, first / 2, queries), &dqkv(0, keys), dstride, true);
    multiply(last, size, pair_count(rows), {scratch.probability_pairs.data(), 1, scratch.probability_pairs.cols()},
             detail::rows_of(scratch.dmixed_pairs, first / 2, column), &dqkv(0, values), dstride, true);
  }
};

}  // namespace icrl
