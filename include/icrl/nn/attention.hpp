// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>

#include <icrl/nn/linear.hpp>
#include <icrl/nn/rotary.hpp>
#include <icrl/nn/rounded_heads.hpp>
#include <icrl/nn/row_blocks.hpp>
#include <icrl/nn/score_blocks.hpp>

namespace icrl {

/// Causal multi-head self-attention (Vaswani et al., 2017, section 3.2): every token looks at itself and at what came
/// before. C = heads * D. The queries, keys and values of a token lie side by side: (T, 3C) = q | k | v, each split
/// into heads.
template <std::floating_point S>
struct CausalAttention {
  Linear<S> qkv;     ///< (C, 3C)
  Linear<S> output;  ///< (C, C)
  Index head_count;

  /// What backward needs of the forward pass. The triangle above the diagonal is neither computed nor read, save in the
  /// blocks that it cuts.
  struct Cache {
    Matrix<S> qkv;            ///< (T, 3C), queries and keys already turned
    Buffer<S> probabilities;  ///< (H, triangle): blocks of rows one after another, each as wide as its last row looks
    Matrix<S> mixed;          ///< (T, C): values weighted by attention, heads side by side
    RoundedHeads::Cache rounded;           ///< instead of them
    Buffer<Bf16Pair> x_pairs, mixed_rows;  ///< with it: (pairs of T, C), (T, pairs of C)
  };
  /// What is of use within one call only, and so may serve all layers of a pass.
  struct Scratch {
    Buffer<S> transposed;  ///< (D, padded T): one head's keys or values
    Buffer<S> dscores;     ///< (block, padded T)
    Matrix<S> dmixed;      ///< (T, C), then a block's dx
    Matrix<S> dqkv;        ///< (T, 3C)
    RoundedHeads::Scratch rounded;
    Matrix<S> qkv;                                       ///< (block, 3C), before rounding
    Buffer<Bf16Pair> rows, qkv_rows;                     ///< (block, pairs of C), (block, pairs of 3C)
    Buffer<Bf16Pair> dy_pairs, mixed_pairs, dqkv_pairs;  ///< (pairs of T, C), (pairs of T, C), (pairs of T, 3C)
  };
  struct Rounded {
    typename Linear<S>::Rounded qkv, output;
  };
  struct RoundingScratch {
    typename Linear<S>::RoundingScratch qkv, output;
  };

  CausalAttention(Index width, Index heads) : qkv{width, 3 * width}, output{width, width}, head_count{heads} {}

  /// y += attention(x). x, y (T, C). An empty `rotary` means that positions come from elsewhere.
  void add_forward(MatrixIn<S> x, const RotaryTable<S>& rotary, Cache& cache, Scratch& scratch, MatrixOut<S> y) const {
    const Index tokens = x.rows(), width = x.cols();
    reserve_rows(cache.qkv, tokens, 3 * width);
    reserve_rows(cache.mixed, tokens, width);
    qkv.forward(x, cache.qkv.topRows(tokens));
    for (Index t = 0; !rotary.empty() && t < tokens; ++t) rotary.rotate(&cache.qkv(t, 0), 2 * width, t);
    heads_forward(tokens, cache, scratch);
    output.add_forward(cache.mixed.topRows(tokens), y);
  }

  /// Adds to `grad`, overwrites dx. x is what forward was given, dy the derivative of what it added.
  /// Per head, with P the probabilities, O = P V and s = 1/sqrt(D):
  ///   dV = P^T dO,  dP = dO V^T,  dS = P * (dP - rowsum(dP * P)) s,  dQ = dS K,  dK = dS^T Q
  /// where rowsum(dP * P) = rowsum(dO * O) (Dao et al., 2022, section B.2).
  void backward(MatrixIn<S> x, MatrixIn<S> dy, const RotaryTable<S>& rotary, const Cache& cache, Scratch& scratch,
                CausalAttention& grad, MatrixOut<S> dx) const {
    const Index tokens = x.rows(), width = x.cols();
    reserve_rows(scratch.dmixed, tokens, width);
    reserve_rows(scratch.dqkv, tokens, 3 * width);
    output.backward(cache.mixed.topRows(tokens), dy, grad.output, scratch.dmixed.topRows(tokens));
    heads_backward(tokens, cache, scratch);
    for (Index t = 0; !rotary.empty() && t < tokens; ++t) rotary.rotate_back(&scratch.dqkv(t, 0), 2 * width, t);
    qkv.backward(x, scratch.dqkv.topRows(tokens), grad.qkv, dx);
  }

  /// The same with products in bfloat16, see Linear; `x` is asked for all blocks before y changes.
  void add_rounded_forward(const Rounded& rounded, InputBlocks x, const RotaryTable<S>& rotary, Cache& cache,
                           Scratch& scratch, MatrixOut<S> y) const requires std::same_as<S, float> {
    const Index tokens = y.rows(), width = y.cols();
    const RoundedHeads heads{width, head_count};
    reserve_blocks(scratch, tokens, width);
    reserve_rows(cache.x_pairs, pair_count(tokens), width);
    heads.reserve(tokens, cache.rounded, scratch.rounded);
    detail::for_each_row_block(tokens, [&](Index first, Index count) {
      x(first, count, scratch.rows, cache.x_pairs);
      qkv.rounded_forward(rounded.qkv, scratch.rows, scratch.qkv.topRows(count));
      for (Index r = 0; !rotary.empty() && r < count; ++r) rotary.rotate(&scratch.qkv(r, 0), 2 * width, first + r);
      heads.take_input(scratch.qkv.topRows(count), first, cache.rounded, scratch.rounded);
    });
    heads.forward(tokens, cache.rounded, scratch.rounded, cache.mixed_rows);
    output.add_rounded_forward(rounded.output, cache.mixed_rows, y);
  }

  /// Adds to `grad`; `dx` takes blocks when dy is not read any more.
  void rounded_backward(const Rounded& rounded, MatrixIn<S> dy, const RotaryTable<S>& rotary, const Cache& cache,
                        Scratch& scratch, CausalAttention& grad,
                        DerivativeBlocks dx) const requires std::same_as<S, float> {
    const Index tokens = dy.rows(), width = dy.cols();
    const RoundedHeads heads{width, head_count};
    reserve_blocks(scratch, tokens, width);
    heads.reserve(tokens, scratch.rounded);
    add_column_sums<S>(dy, grad.output.bias);
    detail::for_each_row_block(tokens, [&](Index first, Index count) {
      round_both(dy.middleRows(first, count), first, scratch.rows, scratch.dy_pairs);
      output.rounded_backward(rounded.output, scratch.rows, scratch.dmixed.topRows(count));
      heads.take_derivative(cache.mixed_rows, scratch.dmixed.topRows(count), first, cache.rounded, scratch.rounded);
    });
    pair_rows(cache.mixed_rows, tokens, width, scratch.mixed_pairs);
    Linear<S>::add_rounded_gradient(scratch.mixed_pairs, scratch.dy_pairs, tokens, grad.output);
    heads.backward(tokens, cache.rounded, scratch.rounded, scratch.dqkv);
    detail::for_each_row_block(tokens, [&](Index first, Index count) {
      auto dqkv = scratch.dqkv.middleRows(first, count);
      for (Index r = 0; !rotary.empty() && r < count; ++r) rotary.rotate_back(&dqkv(r, 0), 2 * width, first + r);
      round_both(dqkv, first, scratch.qkv_rows, scratch.dqkv_pairs);
      add_column_sums<S>(dqkv, grad.qkv.bias);
      qkv.rounded_backward(rounded.qkv, scratch.qkv_rows, scratch.dmixed.topRows(count));
      dx(first, scratch.dmixed.topRows(count));
    });
    Linear<S>::add_rounded_gradient(cache.x_pairs, scratch.dqkv_pairs, tokens, grad.qkv);
  }

  /// For heads of an even size.
  void round(Rounded& rounded, RoundingScratch& scratch) const requires std::same_as<S, float> {
    ICRL_ASSERT(qkv.weight.rows() / head_count % 2 == 0, "round: a head's numbers have to come in pairs");
    qkv.round(rounded.qkv, scratch.qkv);
    output.round(rounded.output, scratch.output);
  }

  static constexpr auto parameters() {
    return std::tuple{Field{"qkv", &CausalAttention::qkv}, Field{"output", &CausalAttention::output}};
  }

private:
  using Blocks = detail::ScoreBlocks;
  static constexpr Index block = Blocks::rows;

  void reserve_blocks(Scratch& scratch, Index tokens, Index width) const {
    reserve_rows(scratch.qkv, detail::row_block, 3 * width);
    reserve_rows(scratch.dmixed, detail::row_block, width);
    reserve_rows(scratch.dqkv, tokens, 3 * width);
    reserve_rows(scratch.rows, detail::row_block, pair_count(width));
    reserve_rows(scratch.qkv_rows, detail::row_block, pair_count(3 * width));
    reserve_rows(scratch.dy_pairs, pair_count(tokens), width);
    reserve_rows(scratch.dqkv_pairs, pair_count(tokens), 3 * width);
  }

  /// Transposes the D columns of qkv from `column` on, so that products over them read whole rows. Those are padded
  /// with zeros: what lies beyond is multiplied by zeros, which would not undo an infinity.
  static void transpose(const Cache& cache, Index column, Index tokens, Index size, Scratch& scratch) {
    detail::pack_panel<S>({&cache.qkv(0, column), 1, cache.qkv.cols()}, size, tokens, scratch.transposed.data(),
                          scratch.transposed.cols());
    clear_columns(scratch.transposed, size, tokens, padded<S>(tokens) - tokens);
  }

  void heads_forward(Index tokens, Cache& cache, Scratch& scratch) const {
    const Index width = cache.mixed.cols(), size = width / head_count;
    detail::reserve_columns(cache.probabilities, head_count, Blocks::triangle(Blocks::count(tokens)));
    detail::reserve_columns(scratch.transposed, size, Blocks::whole(tokens));
    const S scale = S(1) / std::sqrt(static_cast<S>(size));
    for (Index h = 0; h < head_count; ++h) {
      transpose(cache, width + h * size, tokens, size, scratch);
      for (Index first = 0; first < tokens; first += block) {
        const Index last = std::min(first + block, tokens);
        S* const scores = &cache.probabilities(h, Blocks::triangle(first / block));
        const Index stride = first + block;
        detail::product<S>(last - first, padded<S>(last), size, detail::rows_of(cache.qkv, first, h * size),
                           {scratch.transposed.data(), scratch.transposed.cols(), 1}, scores, stride, false);
        for (Index t = first; t < last; ++t) softmax_row(scores + (t - first) * stride, t + 1, padded<S>(last), scale);
        detail::product<S>(last - first, size, last, {scores, stride, 1},
                           detail::rows_of(cache.qkv, 0, 2 * width + h * size), &cache.mixed(first, h * size), width,
                           false);
      }
    }
  }

  void heads_backward(Index tokens, const Cache& cache, Scratch& scratch) const {
    const Index width = cache.mixed.cols(), size = width / head_count;
    detail::reserve_columns(scratch.dscores, block, Blocks::whole(tokens));
    detail::reserve_columns(scratch.transposed, size, Blocks::whole(tokens));
    clear_columns(scratch.dqkv, tokens, width, 2 * width);
    for (Index h = 0; h < head_count; ++h) {
      transpose(cache, 2 * width + h * size, tokens, size, scratch);
      for (Index first = 0; first < tokens; first += block) block_backward(cache, scratch, h, first, tokens, size);
    }
  }

  /// Head h of the tokens first .. last: their dQ, and what they add to dK and dV of all tokens that they looked at.
  /// Their rows of P and dS are used while they are in the first-level cache. `transposed` holds the head's values.
  void block_backward(const Cache& cache, Scratch& scratch, Index h, Index first, Index tokens, Index size) const {
    const Index last = std::min(first + block, tokens), rows = last - first;
    const Index width = scratch.dmixed.cols(), stride = first + block;
    const S scale = S(1) / std::sqrt(static_cast<S>(size));
    const S* const probabilities = &cache.probabilities(h, Blocks::triangle(first / block));
    S* const dscores = scratch.dscores.data();
    detail::product<S>(rows, padded<S>(last), size, detail::rows_of(scratch.dmixed, first, h * size),
                       {scratch.transposed.data(), scratch.transposed.cols(), 1}, dscores, stride, false);
    for (Index r = 0; r < rows; ++r) {
      softmax_row_backward(probabilities + r * stride, padded<S>(last), scale,
                           dot(&cache.mixed(first + r, h * size), &scratch.dmixed(first + r, h * size), size),
                           dscores + r * stride);
    }
    detail::product<S>(rows, size, last, {dscores, stride, 1}, detail::rows_of(cache.qkv, 0, width + h * size),
                       &scratch.dqkv(first, h * size), 3 * width, false);
    detail::product<S>(last, size, rows, {dscores, 1, stride}, detail::rows_of(cache.qkv, first, h * size),
                       &scratch.dqkv(0, width + h * size), 3 * width, true);
    detail::product<S>(last, size, rows, {probabilities, 1, stride}, detail::rows_of(scratch.dmixed, first, h * size),
                       &scratch.dqkv(0, 2 * width + h * size), 3 * width, true);
  }
};

}  // namespace icrl
