// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/nn/dropout_block.hpp>
#include <icrl/nn/post_norm_block.hpp>

namespace icrl {

/// Over a post-norm block: x = norm(x + drop(attention(x))); x = norm(x + drop(feed_forward(x))) (Vaswani et al., 2017,
/// section 5.4). The block must outlive it. At rate 0 it gives the bits of the block's own pass.
template <std::floating_point S, TrainableLinearMap L, TrainableLayer F>
class DropoutBlock<PostNormBlock<S, L, F>> {
public:
  using Layer = PostNormBlock<S, L, F>;  ///< what the pass is of
  using Cache = typename Layer::Cache;   ///< as of the block's own pass
  /// Temporary memory of one call. All blocks of a pass share it.
  struct Scratch {
    typename detail::DropoutLayers<Layer>::Scratch layers;  ///< of attention and the feed-forward layer
    Matrix<S> between, dinput;  ///< (T, C), the feed-forward layer's input, and the derivative of a layer's input
  };

  /// What is dropped is a function of `masks` and of the place.
  DropoutBlock(const Layer& block, const DropoutRates& rates, const Rng& masks)
      : block_{block}, layers_{block, rates, masks} {}

  /// In place: x (T, C).
  void forward(const RotaryTable<S>& rotary, Cache& cache, Scratch& scratch, MatrixOut<S> x) const {
    reserve_rows(cache.input, x.rows(), x.cols());
    reserve_rows(scratch.between, x.rows(), x.cols());
    auto input = cache.input.topRows(x.rows()), between = scratch.between.topRows(x.rows());
    input = x;
    layers_.add_attention(input, rotary, cache, scratch.layers, x);
    block_.attention_norm.forward(x, cache.attention_norm, between);
    x = between;
    layers_.add_feed_forward(between, cache, scratch.layers, x);
    block_.feed_forward_norm.forward(x, cache.feed_forward_norm, x);
  }

  /// Adds to `grad`; dx holds the derivative of the block's output on entry and of its input on return. The pass must
  /// have the rates and the generator of the forward pass.
  void backward(const RotaryTable<S>& rotary, const Cache& cache, Scratch& scratch, Layer& grad,
                MatrixOut<S> dx) const {
    reserve_rows(scratch.between, dx.rows(), dx.cols());
    reserve_rows(scratch.dinput, dx.rows(), dx.cols());
    auto between = scratch.between.topRows(dx.rows()), dinput = scratch.dinput.topRows(dx.rows());
    block_.feed_forward_norm.backward(dx, cache.feed_forward_norm, grad.feed_forward_norm, dx);
    block_.attention_norm.restore(cache.attention_norm, between);
    layers_.feed_forward_backward(between, dx, cache, scratch.layers, grad, dinput);
    dx += dinput;
    block_.attention_norm.backward(dx, cache.attention_norm, grad.attention_norm, dx);
    layers_.attention_backward(cache.input.topRows(dx.rows()), dx, rotary, cache, scratch.layers, grad, dinput);
    dx += dinput;
  }

private:
  const Layer& block_;
  detail::DropoutLayers<Layer> layers_;
};
/// As the constructor.
template <std::floating_point S, typename L, typename F>
DropoutBlock(const PostNormBlock<S, L, F>&, const DropoutRates&, const Rng&) -> DropoutBlock<PostNormBlock<S, L, F>>;

}  // namespace icrl
