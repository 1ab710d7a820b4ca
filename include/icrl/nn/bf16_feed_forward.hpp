// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/math/bf16_rows.hpp>
#include <icrl/nn/bf16_linear.hpp>
#include <icrl/nn/feed_forward.hpp>
#include <icrl/nn/row_blocks.hpp>

namespace icrl {

/// A `FeedForward` in a training pass with factors in bfloat16. It processes a window in blocks of rows, as
/// `detail::for_each_row_block` cuts it, so that the data between its two maps stays in the L2 cache.
class Bf16FeedForward {
public:
  /// The results of the forward pass that backward needs.
  struct Cache {
    Buffer<Bf16Pair> x_pairs;          ///< (pairs of T, C): the caller writes the input here, and
    Buffer<Bf16Pair> hidden_pairs;     ///< (pairs of T, hidden), after the GELU
    Buffer<Bf16Pair> gelu_grad_pairs;  ///< (pairs of T, hidden)
  };
  /// Temporary memory of one call, which all layers of a pass may share.
  struct Scratch {
    Buffer<Bf16Pair> rows;                     ///< (block, pairs of C): the caller writes the input's rows here
    Buffer<Bf16Pair> hidden_rows;              ///< (block, pairs of hidden)
    Matrix<float> hidden;                      ///< (block, hidden), before the GELU, or its derivative
    Matrix<float> dx;                          ///< (block, C)
    Buffer<Bf16Pair> dy_pairs, dhidden_pairs;  ///< (pairs of T, C), (pairs of T, hidden)
  };

  /// The layer must outlive it. Takes over no weights yet; see `pack`.
  explicit Bf16FeedForward(const FeedForward<float>& layer) : layer_{&layer}, up_{layer.up}, down_{layer.down} {}

  void pack(Bf16Linear::PackScratch& scratch) {
    up_.pack(scratch);
    down_.pack(scratch);
  }

  /// Sizes both for a window. Call it before the first block, forward and backward.
  void reserve(Index tokens, Cache& cache, Scratch& scratch) const {
    reserve_rows(cache.x_pairs, pair_count(tokens), layer_->input_size());
    reserve_rows(cache.hidden_pairs, pair_count(tokens), layer_->hidden_size());
    reserve_rows(cache.gelu_grad_pairs, pair_count(tokens), layer_->hidden_size());
    reserve(tokens, scratch);
  }
  void reserve(Index tokens, Scratch& scratch) const {
    const Index width = layer_->input_size(), hidden = layer_->hidden_size();
    reserve_rows(scratch.hidden, detail::row_block, hidden);
    reserve_rows(scratch.dx, detail::row_block, width);
    reserve_rows(scratch.rows, detail::row_block, pair_count(width));
    reserve_rows(scratch.hidden_rows, detail::row_block, pair_count(hidden));
    reserve_rows(scratch.dy_pairs, pair_count(tokens), width);
    reserve_rows(scratch.dhidden_pairs, pair_count(tokens), hidden);
  }

  /// y += layer(x) for a block of rows, from `first` on, whose x is in `scratch.rows` and `cache.x_pairs`.
  void add_forward(Index first, Cache& cache, Scratch& scratch, MatrixOut<float> y) const {
    auto hidden = scratch.hidden.topRows(y.rows());
    up_.forward(scratch.rows, hidden);
    round_gelu(hidden, first, scratch.hidden_rows, cache.hidden_pairs, cache.gelu_grad_pairs);
    down_.add_forward(scratch.hidden_rows, y);
  }

  /// Adds the part of the gradient that needs the whole window: dy (T, C). Call it before the first block.
  static void begin_backward(MatrixIn<float> dy, FeedForward<float>& grad) {
    add_column_sums<float>(dy, grad.down.bias);
  }
  /// Writes dx of a block of rows to the top rows of `scratch.dx`.
  void backward(MatrixIn<float> dy, Index first, const Cache& cache, Scratch& scratch, FeedForward<float>& grad) const {
    auto dhidden = scratch.hidden.topRows(dy.rows());
    round_both(dy, first, scratch.rows, scratch.dy_pairs);
    down_.backward(scratch.rows, dhidden);
    round_product(dhidden, first, cache.gelu_grad_pairs, scratch.hidden_rows, scratch.dhidden_pairs, grad.up.bias);
    up_.backward(scratch.hidden_rows, scratch.dx.topRows(dy.rows()));
  }
  /// Adds the rest of the window's gradient to `grad`. Call it after the last block.
  static void end_backward(Index tokens, const Cache& cache, const Scratch& scratch, FeedForward<float>& grad) {
    Bf16Linear::add_gradient(cache.hidden_pairs, scratch.dy_pairs, tokens, grad.down);
    Bf16Linear::add_gradient(cache.x_pairs, scratch.dhidden_pairs, tokens, grad.up);
  }

private:
  const FeedForward<float>* layer_;
  Bf16Linear up_, down_;
};

}  // namespace icrl
