// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/nn/attention.hpp>
#include <icrl/nn/feed_forward.hpp>
#include <icrl/nn/layer_norm.hpp>

namespace icrl {

/// One pre-norm transformer block (Xiong et al., 2020): x += attention(norm(x)); x += mlp(norm(x)).
template <std::floating_point S>
struct Block {
  LayerNorm<S> attention_norm;
  CausalAttention<S> attention;
  LayerNorm<S> mlp_norm;
  FeedForward<S> mlp;

  /// What backward needs of the forward pass.
  struct Cache {
    typename LayerNorm<S>::Cache attention_norm, mlp_norm;
    typename CausalAttention<S>::Cache attention;
    typename FeedForward<S>::Cache mlp;
  };
  /// What is of use within one call only. All blocks of a pass share it, so that it stays in a core's cache.
  struct Scratch {
    typename CausalAttention<S>::Scratch attention;
    typename FeedForward<S>::Scratch mlp;
    Matrix<S> normed, dnormed;  ///< (T, C), what a norm gave and its derivative
  };

  struct Rounded {
    typename CausalAttention<S>::Rounded attention;
    typename FeedForward<S>::Rounded mlp;
  };
  struct RoundingScratch {
    typename CausalAttention<S>::RoundingScratch attention;
    typename FeedForward<S>::RoundingScratch mlp;
  };

  Block(Index width, Index hidden, Index heads)
      : attention_norm{width}, attention{width, heads}, mlp_norm{width}, mlp{width, hidden} {}

  /// In place: x (T, C) is the residual stream. With `rounded`, products are in bfloat16, see Linear; for
  /// floats alone.
  void forward(const RotaryTable<S>& rotary, Cache& cache, Scratch& scratch, MatrixOut<S> x,
               const Rounded* rounded = nullptr) const {
    if constexpr (std::same_as<S, float>) {
      if (rounded != nullptr) return rounded_forward(*rounded, rotary, cache, scratch, x);
    }
    reserve_rows(scratch.normed, x.rows(), x.cols());
    auto normed = scratch.normed.topRows(x.rows());
    attention_norm.forward(x, cache.attention_norm, normed);
    attention.add_forward(normed, rotary, cache.attention, scratch.attention, x);
    mlp_norm.forward(x, cache.mlp_norm, normed);
    mlp.add_forward(normed, cache.mlp, x);
  }

  /// Adds to `grad`; dx holds the derivative of the block's output on entry and of its input on return.
  void backward(const RotaryTable<S>& rotary, const Cache& cache, Scratch& scratch, Block& grad, MatrixOut<S> dx,
                const Rounded* rounded = nullptr) const {
    if constexpr (std::same_as<S, float>) {
      if (rounded != nullptr) return rounded_backward(*rounded, rotary, cache, scratch, grad, dx);
    }
    reserve_rows(scratch.normed, dx.rows(), dx.cols());
    reserve_rows(scratch.dnormed, dx.rows(), dx.cols());
    auto normed = scratch.normed.topRows(dx.rows()), dnormed = scratch.dnormed.topRows(dx.rows());
    mlp_norm.restore(cache.mlp_norm, normed);
    mlp.backward(normed, dx, cache.mlp, scratch.mlp, grad.mlp, dnormed);
    mlp_norm.add_backward(dnormed, 0, cache.mlp_norm, grad.mlp_norm, dx);
    attention_norm.restore(cache.attention_norm, normed);
    attention.backward(normed, dx, rotary, cache.attention, scratch.attention, grad.attention, dnormed);
    attention_norm.add_backward(dnormed, 0, cache.attention_norm, grad.attention_norm, dx);
  }

  void round(Rounded& rounded, RoundingScratch& scratch) const requires std::same_as<S, float> {
    attention.round(rounded.attention, scratch.attention);
    mlp.round(rounded.mlp, scratch.mlp);
  }

  static constexpr auto parameters() {
    return std::tuple{Field{"attention_norm", &Block::attention_norm}, Field{"attention", &Block::attention},
                      Field{"mlp_norm", &Block::mlp_norm}, Field{"mlp", &Block::mlp}};
  }

private:
  void rounded_forward(const Rounded& rounded, const RotaryTable<S>& rotary, Cache& cache, Scratch& scratch,
                       MatrixOut<S> x) const {
    const auto normed = [&](const LayerNorm<S>& norm, typename LayerNorm<S>::Cache& norm_cache) {
      norm.reserve(norm_cache, x.rows(), x.cols());
      return [&](Index first, Index count, RoundedRows rows, Buffer<Bf16Pair>& pairs) {
        norm.rounded_forward(x.middleRows(first, count), first, norm_cache, rows, pairs);
      };
    };
    attention.add_rounded_forward(rounded.attention, normed(attention_norm, cache.attention_norm), rotary,
                                  cache.attention, scratch.attention, x);
    mlp.add_rounded_forward(rounded.mlp, normed(mlp_norm, cache.mlp_norm), cache.mlp, scratch.mlp, x);
  }

  void rounded_backward(const Rounded& rounded, const RotaryTable<S>& rotary, const Cache& cache, Scratch& scratch,
                        Block& grad, MatrixOut<S> dx) const {
    const auto through = [&](const LayerNorm<S>& norm, const typename LayerNorm<S>::Cache& norm_cache,
                             LayerNorm<S>& norm_grad) {
      return [&](Index first, MatrixIn<S> dnormed) {
        norm.add_backward(dnormed, first, norm_cache, norm_grad, dx.middleRows(first, dnormed.rows()));
      };
    };
    mlp.rounded_backward(rounded.mlp, dx, cache.mlp, scratch.mlp, grad.mlp,
                         through(mlp_norm, cache.mlp_norm, grad.mlp_norm));
    attention.rounded_backward(rounded.attention, dx, rotary, cache.attention, scratch.attention, grad.attention,
                               through(attention_norm, cache.attention_norm, grad.attention_norm));
  }
};

}  // namespace icrl
