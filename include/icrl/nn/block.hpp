// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <icrl/nn/attention.hpp>
#include <icrl/nn/feed_forward.hpp>
#include <icrl/nn/layer_norm.hpp>

namespace icrl {

/// The sizes of a transformer block.
struct BlockShape {
  Index width;      ///< C
  Index heads;      ///< H
  Index head_size;  ///< D
  Index hidden;     ///< of the feed-forward layer
};

/// One pre-norm transformer block (Xiong et al., 2020): x += attention(norm(x)); x += feed_forward(norm(x)). Linear
/// maps and the feed-forward layer are of any kind; a block trains if both do.
template <std::floating_point S, LinearMap L = Linear<S>, FeedForwardLayer F = FeedForward<S, L>>
struct Block {
  using Scalar = S;
  static constexpr bool is_trainable = TrainableLinearMap<L> && TrainableLayer<F>;

  LayerNorm<S> attention_norm;      ///< of the attention's input
  CausalAttention<S, L> attention;  ///< first layer
  LayerNorm<S> feed_forward_norm;   ///< of the feed-forward layer's input
  F feed_forward;                   ///< second layer

  /// The results of the forward pass that backward needs.
  struct Cache {
    typename LayerNorm<S>::Cache attention_norm, feed_forward_norm;
    typename CausalAttention<S, L>::Cache attention;
    LayerCache<F> feed_forward;
  };
  /// Temporary memory of one call. All blocks of a pass share it, so that it stays in a core's cache.
  struct Scratch {
    typename CausalAttention<S, L>::Scratch attention;
    typename F::Scratch feed_forward;
    Matrix<S> normed, dnormed;  ///< (T, C), the output of a norm and its derivative
  };
  /// The same for passes that act.
  struct StreamScratch {
    typename CausalAttention<S, L>::StreamScratch attention;
    typename F::Scratch feed_forward;
    typename LayerNorm<S>::Scratch norm;
    Matrix<S> normed;  ///< (streams, C)
  };

  /// `config`: further arguments of the feed-forward layer, none for most types.
  template <typename... Config>
  explicit Block(const BlockShape& shape, const Config&... config)
      : attention_norm{shape.width},
        attention{shape.width, shape.heads, shape.head_size},
        feed_forward_norm{shape.width},
        feed_forward{shape.width, shape.hidden, config...} {}
  /// Heads of width / heads numbers, and a feed-forward layer without further arguments. All weights are zero, all
  /// norms one.
  Block(Index width, Index hidden, Index heads) : Block{BlockShape{width, heads, width / heads, hidden}} {}

  template <typename... Config>
  [[nodiscard]] static std::int64_t weight_count(const BlockShape& shape, const Config&... config) {
    return 2 * LayerNorm<S>::weight_count(shape.width) +
           CausalAttention<S, L>::weight_count(shape.width, shape.heads, shape.head_size) +
           F::weight_count(shape.width, shape.hidden, config...);
  }

  /// In place: x (T, C) is the residual stream.
  void forward(const RotaryTable<S>& rotary, Cache& cache, Scratch& scratch,
               MatrixOut<S> x) const requires is_trainable {
    reserve_rows(scratch.normed, x.rows(), x.cols());
    auto normed = scratch.normed.topRows(x.rows());
    attention_norm.forward(x, cache.attention_norm, normed);
    attention.add_forward(normed, rotary, cache.attention, scratch.attention, x);
    feed_forward_norm.forward(x, cache.feed_forward_norm, normed);
    feed_forward.add_forward(normed, cache.feed_forward, scratch.feed_forward, x);
  }

  /// Adds to `grad`; dx holds the derivative of the block's output on entry and of its input on return.
  void backward(const RotaryTable<S>& rotary, const Cache& cache, Scratch& scratch, Block& grad,
                MatrixOut<S> dx) const requires is_trainable {
    reserve_rows(scratch.normed, dx.rows(), dx.cols());
    reserve_rows(scratch.dnormed, dx.rows(), dx.cols());
    auto normed = scratch.normed.topRows(dx.rows()), dnormed = scratch.dnormed.topRows(dx.rows());
    feed_forward_norm.restore(cache.feed_forward_norm, normed);
    feed_forward.backward(normed, dx, cache.feed_forward, scratch.feed_forward, grad.feed_forward, dnormed);
    feed_forward_norm.add_backward(dnormed, 0, cache.feed_forward_norm, grad.feed_forward_norm, dx);
    attention_norm.restore(cache.attention_norm, normed);
    attention.backward(normed, dx, rotary, cache.attention, scratch.attention, grad.attention, dnormed);
    attention_norm.add_backward(dnormed, 0, cache.attention_norm, grad.attention_norm, dx);
  }

  /// Sizes the memory for passes over up to `streams` streams of up to `tokens` tokens.
  void reserve(StreamScratch& scratch, Index streams, Index tokens) const {
    attention.reserve(scratch.attention, streams, tokens);
    feed_forward.reserve(scratch.feed_forward, streams);
    attention_norm.reserve(scratch.norm);
    reserve_rows(scratch.normed, streams, attention.width());
  }

  /// Advances every stream by one token, in place: x (streams, C). Attention and feed-forward run only for the streams
  /// in `wanted` (in ascending order), whose results are the top rows. For the others, only keys and values are stored.
  void step(const RotaryTable<S>& rotary, std::span<const StreamPlace<S>> places, std::span<const Index> wanted,
            StreamScratch& scratch, MatrixOut<S> x) const {
    const auto count = static_cast<Index>(wanted.size());
    if (places.size() > few_streams)
      for (const StreamPlace<S>& place : places) place.past.prefetch(place.position);
    attention_norm.forward(x, scratch.norm, scratch.normed.topRows(x.rows()));
    attention.append(scratch.normed.topRows(x.rows()), rotary, places, scratch.attention);
    for (Index i = 0; i < count; ++i) {
      const Index from = wanted[static_cast<std::size_t>(i)];
      if (from != i) std::copy_n(row_data(x, from), x.cols(), row_data(x, i));
    }
    auto stream = x.topRows(count);
    auto normed = scratch.normed.topRows(count);
    attention.attend(wanted, places, scratch.attention, stream);
    feed_forward_norm.forward(stream, scratch.norm, normed);
    feed_forward.add_forward(normed, scratch.feed_forward, stream);
  }

  void initialize(const WeightScale& scale, Rng& rng) requires is_trainable {
    attention.initialize(scale, rng);
    feed_forward.initialize(scale, rng);
  }

  /// The keys and values of this many streams are still in a core's cache when their next token comes.
  static constexpr std::size_t few_streams = 4;

  /// The feed-forward layer's names are those of the first model files.
  static constexpr auto parameters() {
    return std::tuple{Field{"attention_norm", &Block::attention_norm}, Field{"attention", &Block::attention},
                      Field{"mlp_norm", &Block::feed_forward_norm}, Field{"mlp", &Block::feed_forward}};
  }
};

}  // namespace icrl
