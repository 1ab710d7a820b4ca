// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <icrl/nn/block.hpp>

namespace icrl {

/// One post-norm transformer block (Vaswani et al., 2017, section 5.4): x = norm(x + attention(x));
/// x = norm(x + feed_forward(x)). It has the tensors of a `Block`, and is another type, so that nothing takes one for
/// the other. What Block says of its functions holds here, too.
template <std::floating_point S, LinearMap L = Linear<S>, FeedForwardLayer F = FeedForward<S, L>>
struct PostNormBlock {
  using Scalar = S;
  static constexpr bool is_trainable = TrainableLinearMap<L> && TrainableLayer<F>;

  LayerNorm<S> attention_norm;      ///< after attention
  CausalAttention<S, L> attention;  ///< first layer
  LayerNorm<S> feed_forward_norm;   ///< after the feed-forward layer
  F feed_forward;                   ///< second layer

  /// The results of the forward pass that backward needs.
  struct Cache {
    Matrix<S> input;  ///< (T, C), of attention
    typename LayerNorm<S>::Cache attention_norm, feed_forward_norm;
    typename CausalAttention<S, L>::Cache attention;
    LayerCache<F> feed_forward;
  };
  /// Temporary memory of one call. All blocks of a pass share it.
  struct Scratch {
    typename CausalAttention<S, L>::Scratch attention;
    typename F::Scratch feed_forward;
    Matrix<S> between, dinput;  ///< (T, C), the feed-forward layer's input, and the derivative of a layer's input
  };
  /// The same for passes that act.
  struct StreamScratch {
    typename CausalAttention<S, L>::StreamScratch attention;
    typename F::Scratch feed_forward;
    typename LayerNorm<S>::Scratch norm;
    Matrix<S> between;  ///< (streams, C)
  };

  /// `config`: further arguments of the feed-forward layer, none for most types. All weights are zero, all norms one.
  template <typename... Config>
  explicit PostNormBlock(const BlockShape& shape, const Config&... config)
      : attention_norm{shape.width},
        attention{shape.width, shape.heads, shape.head_size},
        feed_forward_norm{shape.width},
        feed_forward{shape.width, shape.hidden, config...} {}

  template <typename... Config>
  [[nodiscard]] static std::int64_t weight_count(const BlockShape& shape, const Config&... config) {
    return Block<S, L, F>::weight_count(shape, config...);
  }

  /// In place: x (T, C).
  void forward(const RotaryTable<S>& rotary, Cache& cache, Scratch& scratch,
               MatrixOut<S> x) const requires is_trainable {
    reserve_rows(cache.input, x.rows(), x.cols());
    reserve_rows(scratch.between, x.rows(), x.cols());
    auto input = cache.input.topRows(x.rows()), between = scratch.between.topRows(x.rows());
    input = x;
    attention.add_forward(input, rotary, cache.attention, scratch.attention, x);
    attention_norm.forward(x, cache.attention_norm, between);
    x = between;
    feed_forward.add_forward(between, cache.feed_forward, scratch.feed_forward, x);
    feed_forward_norm.forward(x, cache.feed_forward_norm, x);
  }

  /// Adds to `grad`; dx holds the derivative of the block's output on entry and of its input on return.
  void backward(const RotaryTable<S>& rotary, const Cache& cache, Scratch& scratch, PostNormBlock& grad,
                MatrixOut<S> dx) const requires is_trainable {
    reserve_rows(scratch.between, dx.rows(), dx.cols());
    reserve_rows(scratch.dinput, dx.rows(), dx.cols());
    auto between = scratch.between.topRows(dx.rows()), dinput = scratch.dinput.topRows(dx.rows());
    feed_forward_norm.backward(dx, cache.feed_forward_norm, grad.feed_forward_norm, dx);
    attention_norm.restore(cache.attention_norm, between);
    feed_forward.backward(between, dx, cache.feed_forward, scratch.feed_forward, grad.feed_forward, dinput);
    dx += dinput;
    attention_norm.backward(dx, cache.attention_norm, grad.attention_norm, dx);
    attention.backward(cache.input.topRows(dx.rows()), dx, rotary, cache.attention, scratch.attention, grad.attention,
                       dinput);
    dx += dinput;
  }

  /// Sizes the memory for passes over up to `streams` streams of up to `tokens` tokens.
  void reserve(StreamScratch& scratch, Index streams, Index tokens) const {
    attention.reserve(scratch.attention, streams, tokens);
    feed_forward.reserve(scratch.feed_forward, streams);
    attention_norm.reserve(scratch.norm);
    reserve_rows(scratch.between, streams, attention.width());
  }

  /// Advances every stream by one token, in place: x (streams, C). For the streams in `wanted` (in ascending order),
  /// results are the top rows. For the others, only keys and values are stored.
  void step(const RotaryTable<S>& rotary, std::span<const StreamPlace<S>> places, std::span<const Index> wanted,
            StreamScratch& scratch, MatrixOut<S> x) const {
    const auto count = static_cast<Index>(wanted.size());
    attention.append(x, rotary, places, scratch.attention);
    for (Index i = 0; i < count; ++i) {
      const Index from = wanted[static_cast<std::size_t>(i)];
      if (from != i) std::copy_n(row_data(x, from), x.cols(), row_data(x, i));
    }
    auto stream = x.topRows(count);
    auto between = scratch.between.topRows(count);
    attention.attend(wanted, places, scratch.attention, stream);
    attention_norm.forward(stream, scratch.norm, between);
    stream = between;
    feed_forward.add_forward(between, scratch.feed_forward, stream);
    feed_forward_norm.forward(stream, scratch.norm, stream);
  }

  void initialize(const WeightScale& scale, Rng& rng) requires is_trainable {
    attention.initialize(scale, rng);
    feed_forward.initialize(scale, rng);
  }

  /// The names are those of a Block.
  static constexpr auto parameters() {
    using B = PostNormBlock;
    return std::tuple{Field{"attention_norm", &B::attention_norm}, Field{"attention", &B::attention},
                      Field{"mlp_norm", &B::feed_forward_norm}, Field{"mlp", &B::feed_forward}};
  }
};

}  // namespace icrl
