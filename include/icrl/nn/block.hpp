// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/nn/attention.hpp>
#include <icrl/nn/layer_norm.hpp>
#include <icrl/nn/mlp.hpp>

namespace icrl {

/// One pre-norm transformer block (Xiong et al., 2020): x += attention(norm(x)); x += mlp(norm(x)).
template <std::floating_point S>
struct Block {
  LayerNorm<S> attention_norm;
  CausalAttention<S> attention;
  LayerNorm<S> mlp_norm;
  Mlp<S> mlp;

  /// What backward needs of the forward pass.
  struct Cache {
    typename LayerNorm<S>::Cache attention_norm, mlp_norm;
    typename CausalAttention<S>::Cache attention;
    typename Mlp<S>::Cache mlp;
  };
  /// What is of use within one call only. All blocks of a pass share it, so that it stays in a core's cache.
  struct Scratch {
    typename CausalAttention<S>::Scratch attention;
    typename Mlp<S>::Scratch mlp;
    Matrix<S> normed, dnormed;  ///< (T, C), what a norm gave and its derivative
  };

  struct Rounded {
    typename CausalAttention<S>::Rounded attention;
    typename Mlp<S>::Rounded mlp;
  };

  Block(Index width, Index hidden, Index heads)
      : attention_norm{width}, attention{width, heads}, mlp_norm{width}, mlp{width, hidden} {}

  /// In place: x (T, C) is the residual stream. With `rounded`, products with weights are in bfloat16, see Linear.
  void forward(const RotaryTable<S>& rotary, Cache& cache, Scratch& scratch, MatrixOut<S> x,
               const Rounded* rounded = nullptr) const {
    reserve_rows(scratch.normed, x.rows(), x.cols());
    auto normed = scratch.normed.topRows(x.rows());
    attention_norm.forward(x, cache.attention_norm, normed);
    attention.add_forward(normed, rotary, cache.attention, scratch.attention, x,
                          detail::member(rounded, &Rounded::attention));
    mlp_norm.forward(x, cache.mlp_norm, normed);
    mlp.add_forward(normed, cache.mlp, scratch.mlp, x, detail::member(rounded, &Rounded::mlp));
  }

  /// Adds to `grad`; dx holds the derivative of the block's output on entry and of its input on return.
  void backward(const RotaryTable<S>& rotary, const Cache& cache, Scratch& scratch, Block& grad, MatrixOut<S> dx,
                const Rounded* rounded = nullptr) const {
    reserve_rows(scratch.normed, dx.rows(), dx.cols());
    reserve_rows(scratch.dnormed, dx.rows(), dx.cols());
    auto normed = scratch.normed.topRows(dx.rows()), dnormed = scratch.dnormed.topRows(dx.rows());
    if (rounded == nullptr) mlp_norm.restore(cache.mlp_norm, normed);
    mlp.backward(normed, dx, cache.mlp, scratch.mlp, grad.mlp, dnormed, detail::member(rounded, &Rounded::mlp));
    mlp_norm.add_backward(dnormed, cache.mlp_norm, grad.mlp_norm, dx);
    if (rounded == nullptr) attention_norm.restore(cache.attention_norm, normed);
    attention.backward(normed, dx, rotary, cache.attention, scratch.attention, grad.attention, dnormed,
                       detail::member(rounded, &Rounded::attention));
    attention_norm.add_backward(dnormed, cache.attention_norm, grad.attention_norm, dx);
  }

  void round(Rounded& rounded, Scratch& scratch) const {
    attention.round(rounded.attention, scratch.attention);
    mlp.round(rounded.mlp, scratch.mlp);
  }

  static constexpr auto parameters() {
    return std::tuple{Field{"attention_norm", &Block::attention_norm}, Field{"attention", &Block::attention},
                      Field{"mlp_norm", &Block::mlp_norm}, Field{"mlp", &Block::mlp}};
  }
};

}  // namespace icrl
