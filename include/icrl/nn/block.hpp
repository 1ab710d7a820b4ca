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

  struct Cache {
    typename LayerNorm<S>::Cache attention_norm, mlp_norm;
    typename CausalAttention<S>::Cache attention;
    typename Mlp<S>::Cache mlp;
    Matrix<S> attention_input, mlp_input;  ///< (T, C), what the norms gave
    Matrix<S> dinput;                      ///< (T, C)
  };

  Block(Index width, Index hidden, Index heads)
      : attention_norm{width}, attention{width, heads}, mlp_norm{width}, mlp{width, hidden} {}

  /// In place: x (T, C) is the residual stream.
  void forward(const RotaryTable<S>& rotary, Cache& cache, MatrixOut<S> x) const {
    const Index tokens = x.rows(), width = x.cols();
    reserve_rows(cache.attention_input, tokens, width);
    reserve_rows(cache.mlp_input, tokens, width);
    auto attention_input = cache.attention_input.topRows(tokens);
    attention_norm.forward(x, cache.attention_norm, attention_input);
    attention.add_forward(attention_input, rotary, cache.attention, x);
    auto mlp_input = cache.mlp_input.topRows(tokens);
    mlp_norm.forward(x, cache.mlp_norm, mlp_input);
    mlp.add_forward(mlp_input, cache.mlp, x);
  }

  /// Adds to `grad`; dx holds the derivative of the block's output on entry and of its input on return.
  void backward(const RotaryTable<S>& rotary, Cache& cache, Block& grad, MatrixOut<S> dx) const {
    const Index tokens = dx.rows();
    reserve_rows(cache.dinput, tokens, dx.cols());
    auto dinput = cache.dinput.topRows(tokens);
    mlp.backward(cache.mlp_input.topRows(tokens), dx, cache.mlp, grad.mlp, dinput);
    mlp_norm.add_backward(dinput, cache.mlp_norm, grad.mlp_norm, dx);
    attention.backward(cache.attention_input.topRows(tokens), dx, rotary, cache.attention, grad.attention, dinput);
    attention_norm.add_backward(dinput, cache.attention_norm, grad.attention_norm, dx);
  }

  static constexpr auto parameters() {
    return std::tuple{Field{"attention_norm", &Block::attention_norm}, Field{"attention", &Block::attention},
                      Field{"mlp_norm", &Block::mlp_norm}, Field{"mlp", &Block::mlp}};
  }
};

}  // namespace icrl
