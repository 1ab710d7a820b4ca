// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>

#include <icrl/nn/linear.hpp>
#include <icrl/nn/rotary.hpp>
#include <icrl/nn/rounded_heads.hpp>
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
    Matrix<S> probabilities;  ///< (H, triangle): blocks of rows one after another, each as wide as its last row looks
    Matrix<S> mixed;          ///< (T, C): values weighted by attention, heads side by side
    typename Linear<S>::Cache qkv_layer, output_layer;
    RoundedHeads::Cache rounded;  ///< instead of qkv and probabilities, and output_layer's input of mixed
  };
  /// What is of use within one call only, and so may serve all layers of a pass.
  struct Scratch {
    Matrix<S> transposed;  ///< (D, padded T): one head's keys or values
    Matrix<S> dscores;     ///< (block, padded T)
    Matrix<S> dmixed;      ///< (T, C)
    Matrix<S> dqkv;        ///< (T, 3C)
    Matrix<S> qkv;         ///< (T, 3C), before rounding
    RoundedHeads::Scratch rounded;
    typename Linear<S>::Scratch qkv_layer, output_layer;
  };
  struct Rounded {
    typename Linear<S>::Rounded qkv, output;
  };

  CausalAttention(Index width, Index heads) : qkv{width, 3 * width}, output{width, width}, head_count{heads} {}

  /// y += attention(x). x, y (T, C). An empty `rotary` means that positions come from elsewhere. With `rounded`,
  /// products with weights are in bfloat16, see Linear.
  void add_forward(MatrixIn<S> x, const RotaryTable<S>& rotary, Cache& cache, Scratch& scratch, MatrixOut<S> y,
                   const Rounded* rounded = nullptr) const {
    const Index tokens = x.rows(), width = x.cols();
    Matrix<S>& made = rounded == nullptr ? cache.qkv : scratch.qkv;
    reserve_rows(made, tokens, 3 * width);
    qkv.forward(x, detail::member(rounded, &Rounded::qkv), cache.qkv_layer, made.topRows(tokens));
    for (Index t = 0; !rotary.empty() && t < tokens; ++t) rotary.rotate(&made(t, 0), 2 * width, t);
    if (rounded == nullptr) {
      reserve_rows(cache.mixed, tokens, width);
      heads_forward(tokens, cache, scratch);
      output.add_forward(cache.mixed.topRows(tokens), y);
    } else if constexpr (std::same_as<S, float>) {
      RoundedHeads{width, head_count}.forward(made.topRows(tokens), cache.rounded, scratch.rounded,
                                              cache.output_layer.x);
      output.forward_rounded(rounded->output, cache.output_layer, y, true);
    }
  }

  /// Adds to `grad`, overwrites dx. x is what forward was given, dy the derivative of what it added.
  /// Per head, with P the probabilities, O = P V and s = 1/sqrt(D):
  ///   dV = P^T dO,  dP = dO V^T,  dS = P * (dP - rowsum(dP * P)) s,  dQ = dS K,  dK = dS^T Q
  /// where rowsum(dP * P) = rowsum(dO * O) (Dao et al., 2022, section B.2).
  void backward(MatrixIn<S> x, MatrixIn<S> dy, const RotaryTable<S>& rotary, const Cache& cache, Scratch& scratch,
                CausalAttention& grad, MatrixOut<S> dx, const Rounded* rounded = nullptr) const {
    const Index tokens = x.rows(), width = x.cols();
    reserve_rows(scratch.dmixed, tokens, width);
    reserve_rows(scratch.dqkv, tokens, 3 * width);
    auto dmixed = scratch.dmixed.topRows(tokens);
    if (rounded == nullptr) {
      output.backward(cache.mixed.topRows(tokens), dy, grad.output, dmixed);
      heads_backward(tokens, cache, scratch);
    } else if constexpr (std::same_as<S, float>) {
      output.backward(x, dy, &rounded->output, cache.output_layer, scratch.output_layer, grad.output, dmixed);
      RoundedHeads{width, head_count}.backward(cache.output_layer.x, dmixed, cache.rounded, scratch.rounded,
                                               scratch.dqkv.topRows(tokens));
    }
    for (Index t = 0; !rotary.empty() && t < tokens; ++t) rotary.rotate_back(&scratch.dqkv(t, 0), 2 * width, t);
    qkv.backward(x, scratch.dqkv.topRows(tokens), detail::member(rounded, &Rounded::qkv), cache.qkv_layer,
                 scratch.qkv_layer, grad.qkv, dx);
  }

  /// For floats and heads of an even size.
  void round(Rounded& rounded, Scratch& scratch) const {
    ICRL_ASSERT(qkv.weight.rows() / head_count % 2 == 0, "round: a head's numbers have to come in pairs");
    qkv.round(rounded.qkv, scratch.qkv_layer);
    output.round(rounded.output, scratch.output_layer);
  }

  static constexpr auto parameters() {
    return std::tuple{Field{"qkv", &CausalAttention::qkv}, Field{"output", &CausalAttention::output}};
  }

private:
  using Blocks = detail::ScoreBlocks;
  static constexpr Index block = Blocks::rows;

  /// Transposes the D columns of qkv from `column` on, so that products over them read whole rows. Those are padded
  /// with zeros: what lies beyond is multiplied by zeros, which would not undo an infinity.
  static void transpose(const Cache& cache, Index column, Index tokens, Index size, Scratch& scratch) {
    detail::pack_panel<S>({&cache.qkv(0, column), 1, cache.qkv.cols()}, size, tokens, scratch.transposed.data(),
                          scratch.transposed.cols());
    scratch.transposed.topRows(size).middleCols(tokens, padded<S>(tokens) - tokens).setZero();
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
    scratch.dqkv.topRows(tokens).rightCols(2 * width).setZero();
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
