// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/math/rounded_rows.hpp>
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
    typename Linear<S>::Cache up, down;
    Matrix<Bf16Pair> rounded_slope;  ///< (T, pairs of hidden), instead of `slope`
  };
  /// What is of use within one call only, and so may serve all layers of a pass.
  struct Scratch {
    Matrix<S> hidden;   ///< (T, hidden), before the GELU
    Matrix<S> dhidden;  ///< (T, hidden)
    typename Linear<S>::Scratch up, down;
  };
  struct Rounded {
    typename Linear<S>::Rounded up, down;
  };

  Mlp(Index width, Index hidden) : up{width, hidden}, down{hidden, width} {}

  /// y += mlp(x). x, y (T, C). With `rounded`, products are in bfloat16, see Linear.
  void add_forward(MatrixIn<S> x, Cache& cache, Scratch& scratch, MatrixOut<S> y,
                   const Rounded* rounded = nullptr) const {
    const Index tokens = x.rows(), hidden_size = up.weight.cols();
    if (rounded == nullptr) {
      reserve_rows(cache.hidden, tokens, hidden_size);
      reserve_rows(cache.slope, tokens, hidden_size);
      up.forward(x, cache.hidden.topRows(tokens));
      gelu_row(cache.hidden.data(), cache.slope.data(), tokens * hidden_size);
      down.add_forward(cache.hidden.topRows(tokens), y);
    } else if constexpr (std::same_as<S, float>) {
      reserve_rows(scratch.hidden, tokens, hidden_size);
      reserve_rows(cache.down.x, tokens, pair_count(hidden_size));
      reserve_rows(cache.rounded_slope, tokens, pair_count(hidden_size));
      up.forward(x, &rounded->up, cache.up, scratch.hidden.topRows(tokens));
      for (Index t = 0; t < tokens; ++t) {
        round_gelu_row(row_data(scratch.hidden, t), hidden_size, row_data(cache.down.x, t),
                       row_data(cache.rounded_slope, t));
      }
      down.forward_rounded(rounded->down, cache.down, y, true);
    }
  }

  /// Adds to `grad`, overwrites dx. dy is the derivative of what forward added.
  void backward(MatrixIn<S> x, MatrixIn<S> dy, const Cache& cache, Scratch& scratch, Mlp& grad, MatrixOut<S> dx,
                const Rounded* rounded = nullptr) const {
    const Index tokens = x.rows(), hidden_size = up.weight.cols();
    reserve_rows(scratch.dhidden, tokens, hidden_size);
    auto dhidden = scratch.dhidden.topRows(tokens);
    if (rounded == nullptr) {
      down.backward(cache.hidden.topRows(tokens), dy, grad.down, dhidden);
      dhidden.array() *= cache.slope.topRows(tokens).array();
      up.backward(x, dhidden, grad.up, dx);
    } else if constexpr (std::same_as<S, float>) {
      down.backward(x, dy, &rounded->down, cache.down, scratch.down, grad.down, dhidden);
      reserve_rows(scratch.up.dy, tokens, pair_count(hidden_size));
      for (Index t = 0; t < tokens; ++t) {
        round_product_row(row_data(dhidden, t), row_data(cache.rounded_slope, t), hidden_size,
                          row_data(scratch.up.dy, t), grad.up.bias.data());
      }
      up.backward_rounded(rounded->up, cache.up, scratch.up, grad.up, dx);
    }
  }

  void round(Rounded& rounded, Scratch& scratch) const {
    up.round(rounded.up, scratch.up);
    down.round(rounded.down, scratch.down);
  }

  static constexpr auto parameters() { return std::tuple{Field{"up", &Mlp::up}, Field{"down", &Mlp::down}}; }
};

}  // namespace icrl
