// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>

#include <icrl/nn/feed_forward.hpp>
#include <icrl/nn/gated_recurrence.hpp>
#include <icrl/nn/layer_norm.hpp>

namespace icrl {

/// A pre-norm block whose memory is a recurrence: x += recurrence(norm(x)); x += feed_forward(norm(x)).
template <std::floating_point S>
struct RecurrentBlock {
  using Scalar = S;

  LayerNorm<S> recurrence_norm;    ///< of the recurrence's input
  GatedRecurrence<S> recurrence;   ///< first layer
  LayerNorm<S> feed_forward_norm;  ///< of the feed-forward layer's input
  FeedForward<S> feed_forward;     ///< second layer

  /// The results of the forward pass that backward needs.
  struct Cache {
    typename LayerNorm<S>::Cache recurrence_norm, feed_forward_norm;
    typename GatedRecurrence<S>::Cache recurrence;
    typename FeedForward<S>::Cache feed_forward;
  };
  /// Temporary memory of one call. All blocks of a pass share it.
  struct Scratch {
    typename GatedRecurrence<S>::Scratch recurrence;
    typename FeedForward<S>::Scratch feed_forward;
    Matrix<S> normed, dnormed;  ///< (T, C), the output of a norm and its derivative
  };
  /// The same for passes that act.
  struct StreamScratch {
    typename GatedRecurrence<S>::StreamScratch recurrence;
    typename FeedForward<S>::Scratch feed_forward;
    typename LayerNorm<S>::Scratch norm;
    Matrix<S> normed;  ///< (streams, C)
  };

  /// N = `state_size` numbers per stream. All weights are zero, all norms one.
  RecurrentBlock(Index width, Index state_size, Index hidden)
      : recurrence_norm{width}, recurrence{width, state_size}, feed_forward_norm{width}, feed_forward{width, hidden} {}

  [[nodiscard]] static std::int64_t weight_count(std::int64_t width, std::int64_t state_size, std::int64_t hidden) {
    return 2 * LayerNorm<S>::weight_count(width) + GatedRecurrence<S>::weight_count(width, state_size) +
           FeedForward<S>::weight_count(width, hidden);
  }

  /// In place: x (T, C) is the residual stream, its first row the first of a stream.
  void forward(Cache& cache, Scratch& scratch, MatrixOut<S> x) const {
    reserve_rows(scratch.normed, x.rows(), x.cols());
    auto normed = scratch.normed.topRows(x.rows());
    recurrence_norm.forward(x, cache.recurrence_norm, normed);
    recurrence.add_forward(normed, cache.recurrence, x);
    feed_forward_norm.forward(x, cache.feed_forward_norm, normed);
    feed_forward.add_forward(normed, cache.feed_forward, scratch.feed_forward, x);
  }

  /// Adds to `grad`; dx holds the derivative of the block's output on entry and of its input on return.
  void backward(const Cache& cache, Scratch& scratch, RecurrentBlock& grad, MatrixOut<S> dx) const {
    reserve_rows(scratch.normed, dx.rows(), dx.cols());
    reserve_rows(scratch.dnormed, dx.rows(), dx.cols());
    auto normed = scratch.normed.topRows(dx.rows()), dnormed = scratch.dnormed.topRows(dx.rows());
    feed_forward_norm.restore(cache.feed_forward_norm, normed);
    feed_forward.backward(normed, dx, cache.feed_forward, scratch.feed_forward, grad.feed_forward, dnormed);
    feed_forward_norm.add_backward(dnormed, 0, cache.feed_forward_norm, grad.feed_forward_norm, dx);
    recurrence_norm.restore(cache.recurrence_norm, normed);
    recurrence.backward(normed, dx, cache.recurrence, scratch.recurrence, grad.recurrence, dnormed);
    recurrence_norm.add_backward(dnormed, 0, cache.recurrence_norm, grad.recurrence_norm, dx);
  }

  void reserve(StreamScratch& scratch, Index streams) const {
    recurrence.reserve(scratch.recurrence, streams);
    feed_forward.reserve(scratch.feed_forward, streams);
    recurrence_norm.reserve(scratch.norm);
    reserve_rows(scratch.normed, streams, recurrence_norm.gain.size());
  }

  /// One step of every stream, in place: x (streams, C). `states` as in GatedRecurrence::step.
  void step(std::span<S* const> states, StreamScratch& scratch, MatrixOut<S> x) const {
    auto normed = scratch.normed.topRows(x.rows());
    recurrence_norm.forward(x, scratch.norm, normed);
    recurrence.step(normed, states, scratch.recurrence, x);
    feed_forward_norm.forward(x, scratch.norm, normed);
    feed_forward.add_forward(normed, scratch.feed_forward, x);
  }

  /// `longest`: see GatedRecurrence.
  void initialize(const WeightScale& scale, double longest, Rng& rng) {
    recurrence.initialize(scale, longest, rng);
    feed_forward.initialize(scale, rng);
  }

  static constexpr auto parameters() {
    using B = RecurrentBlock;
    return std::tuple{Field{"recurrence_norm", &B::recurrence_norm}, Field{"recurrence", &B::recurrence},
                      Field{"feed_forward_norm", &B::feed_forward_norm}, Field{"feed_forward", &B::feed_forward}};
  }
};

}  // namespace icrl
