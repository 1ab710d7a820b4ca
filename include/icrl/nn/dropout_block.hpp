// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/nn/block.hpp>
#include <icrl/nn/dropout_attention.hpp>

namespace icrl {

/// A training pass over a block with dropout of attention's weights and of what each layer adds to the residual stream:
/// x += drop(attention(norm(x))); x += drop(feed_forward(norm(x))). The block must outlive it. At rate 0 it gives the
/// bits of the block's own pass. `rates.embedding` is not used here.
template <std::floating_point S, TrainableLinearMap L = Linear<S>, TrainableLayer F = FeedForward<S, L>>
class DropoutBlock {
public:
  using Layer = Block<S, L, F>;         ///< what the pass is of
  using Cache = typename Layer::Cache;  ///< as of the block's own pass
  /// Temporary memory of one call. All blocks of a pass share it.
  struct Scratch {
    typename DropoutAttention<S, L>::Scratch attention;
    typename F::Scratch feed_forward;
    Matrix<S> normed, dnormed;  ///< (T, C), the output of a norm and its derivative
    Matrix<S> dropped;          ///< (T, C), what a layer adds, or its derivative, after dropout
  };

  /// The masks are a function of the generator, and of token and column (or head and key).
  DropoutBlock(const Layer& block, const DropoutRates& rates, const Rng& masks)
      : block_{block},
        attention_{block.attention, rates.attention, masks.fork(0)},
        drops_weights_{rates.attention > 0},
        after_attention_{rates.residual, masks.fork(1)},
        after_feed_forward_{rates.residual, masks.fork(2)} {}

  /// In place: x (T, C) is the residual stream.
  void forward(const RotaryTable<S>& rotary, Cache& cache, Scratch& scratch, MatrixOut<S> x) const {
    reserve_rows(scratch.normed, x.rows(), x.cols());
    auto normed = scratch.normed.topRows(x.rows());
    block_.attention_norm.forward(x, cache.attention_norm, normed);
    add_dropped(after_attention_, scratch.dropped, x, [&](MatrixOut<S> y) {
      if (drops_weights_) return attention_.add_forward(normed, rotary, cache.attention, scratch.attention, y);
      block_.attention.add_forward(normed, rotary, cache.attention, scratch.attention.layer, y);
    });
    block_.feed_forward_norm.forward(x, cache.feed_forward_norm, normed);
    add_dropped(after_feed_forward_, scratch.dropped, x, [&](MatrixOut<S> y) {
      block_.feed_forward.add_forward(normed, cache.feed_forward, scratch.feed_forward, y);
    });
  }

  /// Adds to `grad`; dx holds the derivative of the block's output on entry and of its input on return. The pass must
  /// have the rates and the generator of the forward pass.
  void backward(const RotaryTable<S>& rotary, const Cache& cache, Scratch& scratch, Layer& grad,
                MatrixOut<S> dx) const {
    reserve_rows(scratch.normed, dx.rows(), dx.cols());
    reserve_rows(scratch.dnormed, dx.rows(), dx.cols());
    auto normed = scratch.normed.topRows(dx.rows()), dnormed = scratch.dnormed.topRows(dx.rows());
    block_.feed_forward_norm.restore(cache.feed_forward_norm, normed);
    with_dropped(after_feed_forward_, scratch.dropped, dx, [&](MatrixIn<S> dy) {
      block_.feed_forward.backward(normed, dy, cache.feed_forward, scratch.feed_forward, grad.feed_forward, dnormed);
    });
    block_.feed_forward_norm.add_backward(dnormed, 0, cache.feed_forward_norm, grad.feed_forward_norm, dx);
    block_.attention_norm.restore(cache.attention_norm, normed);
    with_dropped(after_attention_, scratch.dropped, dx, [&](MatrixIn<S> dy) {
      if (drops_weights_)
        return attention_.backward(normed, dy, rotary, cache.attention, scratch.attention, grad.attention, dnormed);
      block_.attention.backward(normed, dy, rotary, cache.attention, scratch.attention.layer, grad.attention, dnormed);
    });
    block_.attention_norm.add_backward(dnormed, 0, cache.attention_norm, grad.attention_norm, dx);
  }

private:
  /// x += drop(y), where add(y) adds what is to be dropped. Without dropout it is added to x, as in the block's own
  /// pass.
  template <typename Add>
  static void add_dropped(const Dropout& dropout, Matrix<S>& memory, MatrixOut<S> x, Add&& add) {
    if (!dropout.is_used()) return add(x);
    reserve_rows(memory, x.rows(), x.cols());
    auto y = memory.topRows(x.rows());
    y.setZero();
    add(y);
    dropout.drop<S>(y);
    x += y;
  }

  /// Calls use(drop(dx)).
  template <typename Use>
  static void with_dropped(const Dropout& dropout, Matrix<S>& memory, MatrixIn<S> dx, Use&& use) {
    if (!dropout.is_used()) return use(dx);
    reserve_rows(memory, dx.rows(), dx.cols());
    auto dy = memory.topRows(dx.rows());
    dy = dx;
    dropout.drop<S>(dy);
    use(dy);
  }

  const Layer& block_;
  DropoutAttention<S, L> attention_;
  bool drops_weights_;
  Dropout after_attention_, after_feed_forward_;
};

}  // namespace icrl
