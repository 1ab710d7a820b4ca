// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/nn/linear.hpp>

namespace icrl {

/// y = GELU(x Up + b) Down + c, token by token. Up is (C, hidden), Down is (hidden, C).
template <std::floating_point S>
struct Mlp {
  Linear<S> up, down;

  /// What backward needs of the forward pass.
  struct Cache {
    Matrix<S> hidden;  ///< (T, hidden), after the GELU
    Matrix<S> slope;   ///< (T, hidden), the GELU's derivative
  };
  /// What is of use within one call only, and so may serve all layers of a pass.
  struct Scratch {
    Matrix<S> dhidden;  ///< (T, hidden)
  };

  Mlp(Index width, Index hidden) : up{width, hidden}, down{hidden, width} {}

  /// y += mlp(x). x, y (T, C).
  void add_forward(MatrixIn<S> x, Cache& cache, MatrixOut<S> y) const {
    const Index tokens = x.rows(), hidden_size = up.weight.cols();
    reserve_rows(cache.hidden, tokens, hidden_size);
    reserve_rows(cache.slope, tokens, hidden_size);
    up.forward(x, cache.hidden.topRows(tokens));
    gelu_row(cache.hidden.data(), cache.slope.data(), tokens * hidden_size);
    down.add_forward(cache.hidden.topRows(tokens), y);
  }

  /// Adds to `grad`, overwrites dx. dy is the derivative of what forward added.
  void backward(MatrixIn<S> x, MatrixIn<S> dy, const Cache& cache, Scratch& scratch, Mlp& grad, MatrixOut<S> dx) const {
    const Index tokens = x.rows();
    reserve_rows(scratch.dhidden, tokens, up.weight.cols());
    auto dhidden = scratch.dhidden.topRows(tokens);
    down.backward(cache.hidden.topRows(tokens), dy, grad.down, dhidden);
    dhidden.array() *= cache.slope.topRows(tokens).array();
    up.backward(x, dhidden, grad.up, dx);
  }

  static constexpr auto parameters() { return std::tuple{Field{"up", &Mlp::up}, Field{"down", &Mlp::down}}; }
};

}  // namespace icrl
