// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/nn/bf16_attention.hpp>
#include <icrl/nn/bf16_feed_forward.hpp>
#include <icrl/nn/block.hpp>

namespace icrl {

/// A `Block` in a training pass with factors in bfloat16: a copy of the weights of its linear maps, in the layout that
/// the products want. Sums, norms, softmax and gradients are float. The block must outlive it.
class Bf16Block {
public:
  /// The results of the forward pass that backward needs.
  struct Cache {
    LayerNorm<float>::Cache attention_norm, feed_forward_norm;
    Bf16Attention::Cache attention;
    Bf16FeedForward::Cache feed_forward;
  };
  /// Temporary memory of one call. All blocks of a pass share it, so that it stays in a core's cache.
  struct Scratch {
    Bf16Attention::Scratch attention;
    Bf16FeedForward::Scratch feed_forward;
  };

  /// Takes over no weights yet; see `pack`.
  explicit Bf16Block(const Block<float>& block)
      : block_{&block}, attention_{block.attention}, feed_forward_{block.feed_forward} {}

  /// Call it again after every change of the weights.
  void pack(Bf16Linear::PackScratch& scratch) {
    attention_.pack(scratch);
    feed_forward_.pack(scratch);
  }

  /// In place: x (T, C) is the residual stream.
  void forward(const RotaryTable<float>& rotary, Cache& cache, Scratch& scratch, MatrixOut<float> x) const {
    const Index tokens = x.rows();
    LayerNorm<float>::reserve(cache.attention_norm, tokens, x.cols());
    LayerNorm<float>::reserve(cache.feed_forward_norm, tokens, x.cols());
    attention_.reserve(tokens, cache.attention, scratch.attention);
    feed_forward_.reserve(tokens, cache.feed_forward, scratch.feed_forward);
    detail::for_each_row_block(tokens, [&](Index first, Index count) {
      normalize(block_->attention_norm, x.middleRows(first, count), first, cache.attention_norm, scratch.attention.rows,
                cache.attention.x_pairs);
      attention_.take_input(rotary, first, count, cache.attention, scratch.attention);
    });
    attention_.add_forward(cache.attention, scratch.attention, x);
    detail::for_each_row_block(tokens, [&](Index first, Index count) {
      auto rows = x.middleRows(first, count);
      normalize(block_->feed_forward_norm, rows, first, cache.feed_forward_norm, scratch.feed_forward.rows,
                cache.feed_forward.x_pairs);
      feed_forward_.add_forward(first, cache.feed_forward, scratch.feed_forward, rows);
    });
  }

  /// Adds to `grad`; dx holds the derivative of the block's output on entry and of its input on return.
  void backward(const RotaryTable<float>& rotary, const Cache& cache, Scratch& scratch, Block<float>& grad,
                MatrixOut<float> dx) const {
    const Index tokens = dx.rows();
    feed_forward_.reserve(tokens, scratch.feed_forward);
    feed_forward_.begin_backward(dx, grad.feed_forward);
    detail::for_each_row_block(tokens, [&](Index first, Index count) {
      auto rows = dx.middleRows(first, count);
      feed_forward_.backward(rows, first, cache.feed_forward, scratch.feed_forward, grad.feed_forward);
      block_->feed_forward_norm.add_backward(scratch.feed_forward.dx.topRows(count), first, cache.feed_forward_norm,
                                             grad.feed_forward_norm, rows);
    });
    feed_forward_.end_backward(tokens, cache.feed_forward, scratch.feed_forward, grad.feed_forward);

    attention_.reserve(tokens, scratch.attention);
    attention_.begin_backward(dx, cache.attention, scratch.attention, grad.attention);
    detail::for_each_row_block(tokens, [&](Index first, Index count) {
      attention_.backward(rotary, first, count, scratch.attention, grad.attention);
      block_->attention_norm.add_backward(scratch.attention.dx.topRows(count), first, cache.attention_norm,
                                          grad.attention_norm, dx.middleRows(first, count));
    });
    attention_.end_backward(tokens, cache.attention, scratch.attention, grad.attention);
  }

private:
  /// norm(x) of a block of rows, those from `first` on, in both orders of bfloat16; see round_scaled.
  static void normalize(const LayerNorm<float>& norm, MatrixIn<float> x, Index first, LayerNorm<float>::Cache& cache,
                        Bf16Rows rows, Buffer<Bf16Pair>& pairs) {
    for (Index r = 0; r < x.rows(); ++r) {
      cache.inverse_stddev(first + r, 0) =
          standardise_row(row_data(x, r), x.cols(), LayerNorm<float>::epsilon, row_data(cache.x_hat, first + r));
    }
    round_scaled(cache.x_hat.middleRows(first, x.rows()), norm.gain, norm.bias, first, rows, pairs);
  }

  const Block<float>* block_;
  Bf16Attention attention_;
  Bf16FeedForward feed_forward_;
};

}  // namespace icrl
