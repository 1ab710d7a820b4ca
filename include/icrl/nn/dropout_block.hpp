// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

#include <icrl/nn/block.hpp>
#include <icrl/nn/dropout_attention.hpp>

namespace icrl {

/// A training pass over a block with dropout of attention's weights and of what each layer adds to the residual stream.
/// `B` is the type of the block: a `Block`, or a `PostNormBlock` (see dropout_post_norm_block.hpp).
template <typename B>
class DropoutBlock;

namespace detail {

/// The two layers of a block of type B with dropout, for passes that bring the norms. At rate 0 they give the bits of
/// the layers.
template <typename B>
class DropoutLayers {
public:
  using S = typename B::Scalar;
  using Attention = DropoutAttention<S, decltype(std::declval<B>().attention.qkv)>;

  /// Temporary memory of one call.
  struct Scratch {
    typename Attention::Scratch attention;
    typename decltype(B::feed_forward)::Scratch feed_forward;
    Matrix<S> dropped;  ///< (T, C), what a layer adds, or its derivative, after dropout
  };

  /// The masks are a function of the generator, and of token and column (or head and key).
  DropoutLayers(const B& block, const DropoutRates& rates, const Rng& masks)
      : block_{block},
        attention_{block.attention, rates.attention, masks.fork(0)},
        drops_weights_{rates.attention > 0},
        after_attention_{rates.residual, masks.fork(1)},
        after_feed_forward_{rates.residual, masks.fork(2)} {}

  /// y += drop(attention(x)).
  void add_attention(MatrixIn<S> x, const RotaryTable<S>& rotary, typename B::Cache& cache, Scratch& scratch,
                     MatrixOut<S> y) const {
    add_dropped(after_attention_, scratch.dropped, y, [&](MatrixOut<S> sum) {
      if (drops_weights_) return attention_.add_forward(x, rotary, cache.attention, scratch.attention, sum);
      block_.attention.add_forward(x, rotary, cache.attention, scratch.attention.layer, sum);
    });
  }
  /// Adds to `grad`, overwrites dx. dy is the derivative of what was added.
  void attention_backward(MatrixIn<S> x, MatrixIn<S> dy, const RotaryTable<S>& rotary, const typename B::Cache& cache,
                          Scratch& scratch, B& grad, MatrixOut<S> dx) const {
    with_dropped(after_attention_, scratch.dropped, dy, [&](MatrixIn<S> dsum) {
      if (drops_weights_)
        return attention_.backward(x, dsum, rotary, cache.attention, scratch.attention, grad.attention, dx);
      block_.attention.backward(x, dsum, rotary, cache.attention, scratch.attention.layer, grad.attention, dx);
    });
  }

  /// y += drop(feed_forward(x)).
  void add_feed_forward(MatrixIn<S> x, typename B::Cache& cache, Scratch& scratch, MatrixOut<S> y) const {
    add_dropped(after_feed_forward_, scratch.dropped, y, [&](MatrixOut<S> sum) {
      block_.feed_forward.add_forward(x, cache.feed_forward, scratch.feed_forward, sum);
    });
  }
  /// Adds to `grad`, overwrites dx.
  void feed_forward_backward(MatrixIn<S> x, MatrixIn<S> dy, const typename B::Cache& cache, Scratch& scratch, B& grad,
                             MatrixOut<S> dx) const {
    with_dropped(after_feed_forward_, scratch.dropped, dy, [&](MatrixIn<S> dsum) {
      block_.feed_forward.backward(x, dsum, cache.feed_forward, scratch.feed_forward, grad.feed_forward, dx);
    });
  }

private:
  /// y += drop(sum), where add(sum) adds to sum. Without dropout it adds to y, as in the block's own pass.
  template <typename Add>
  static void add_dropped(const Dropout& dropout, Matrix<S>& memory, MatrixOut<S> y, Add&& add) {
    if (!dropout.is_used()) return add(y);
    reserve_rows(memory, y.rows(), y.cols());
    auto sum = memory.topRows(y.rows());
    sum.setZero();
    add(sum);
    dropout.drop<S>(sum);
    y += sum;
  }

  /// Calls use(drop(dy)).
  template <typename Use>
  static void with_dropped(const Dropout& dropout, Matrix<S>& memory, MatrixIn<S> dy, Use&& use) {
    if (!dropout.is_used()) return use(dy);
    reserve_rows(memory, dy.rows(), dy.cols());
    auto dsum = memory.topRows(dy.rows());
    dsum = dy;
    dropout.drop<S>(dsum);
    use(dsum);
  }

  const B& block_;
  Attention attention_;
  bool drops_weights_;
  Dropout after_attention_, after_feed_forward_;
};

}  // namespace detail

/// Over a pre-norm block: x += drop(attention(norm(x))); x += drop(feed_forward(norm(x))). The block must outlive it.
/// At rate 0 it gives the bits of the block's own pass. `rates.embedding` is not used here.
template <std::floating_point S, TrainableLinearMap L, TrainableLayer F>
class DropoutBlock<Block<S, L, F>> {
public:
  using Layer = Block<S, L, F>;         ///< what the pass is of
  using Cache = typename Layer::Cache;  ///< as of the block's own pass
  /// Temporary memory of one call. All blocks of a pass share it.
  struct Scratch {
    typename detail::DropoutLayers<Layer>::Scratch layers;  ///< of attention and the feed-forward layer
    Matrix<S> normed, dnormed;                              ///< (T, C), the output of a norm and its derivative
  };

  /// What is dropped is a function of `masks` and of the place.
  DropoutBlock(const Layer& block, const DropoutRates& rates, const Rng& masks)
      : block_{block}, layers_{block, rates, masks} {}

  /// In place: x (T, C) is the residual stream.
  void forward(const RotaryTable<S>& rotary, Cache& cache, Scratch& scratch, MatrixOut<S> x) const {
    reserve_rows(scratch.normed, x.rows(), x.cols());
    auto normed = scratch.normed.topRows(x.rows());
    block_.attention_norm.forward(x, cache.attention_norm, normed);
    layers_.add_attention(normed, rotary, cache, scratch.layers, x);
    block_.feed_forward_norm.forward(x, cache.feed_forward_norm, normed);
    layers_.add_feed_forward(normed, cache, scratch.layers, x);
  }

  /// Adds to `grad`; dx holds the derivative of the block's output on entry and of its input on return. The pass must
  /// have the rates and the generator of the forward pass.
  void backward(const RotaryTable<S>& rotary, const Cache& cache, Scratch& scratch, Layer& grad,
                MatrixOut<S> dx) const {
    reserve_rows(scratch.normed, dx.rows(), dx.cols());
    reserve_rows(scratch.dnormed, dx.rows(), dx.cols());
    auto normed = scratch.normed.topRows(dx.rows()), dnormed = scratch.dnormed.topRows(dx.rows());
    block_.feed_forward_norm.restore(cache.feed_forward_norm, normed);
    layers_.feed_forward_backward(normed, dx, cache, scratch.layers, grad, dnormed);
    block_.feed_forward_norm.add_backward(dnormed, 0, cache.feed_forward_norm, grad.feed_forward_norm, dx);
    block_.attention_norm.restore(cache.attention_norm, normed);
    layers_.attention_backward(normed, dx, rotary, cache, scratch.layers, grad, dnormed);
    block_.attention_norm.add_backward(dnormed, 0, cache.attention_norm, grad.attention_norm, dx);
  }

private:
  const Layer& block_;
  detail::DropoutLayers<Layer> layers_;
};
/// As the constructor.
template <std::floating_point S, typename L, typename F>
DropoutBlock(const Block<S, L, F>&, const DropoutRates&, const Rng&) -> DropoutBlock<Block<S, L, F>>;

}  // namespace icrl
