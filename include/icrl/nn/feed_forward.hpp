// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include <icrl/math/row_kernels.hpp>
#include <icrl/nn/linear.hpp>

namespace icrl {

/// y = GELU(x Up + b) Down + c, token by token: a transformer's feed-forward layer. Up is (C, hidden), Down is
/// (hidden, C), both of any type of linear map.
template <std::floating_point S, LinearMap L = Linear<S>>
struct FeedForward {
  using Scalar = S;

  L up, down;  ///< (C, hidden) and (hidden, C)

  /// The results of the forward pass that backward needs.
  struct Cache {
    Matrix<S> hidden;     ///< (T, hidden), after the GELU
    Matrix<S> gelu_grad;  ///< (T, hidden), the GELU's derivative
    LayerCache<L> up, down;
  };
  /// Temporary memory of one call.
  struct Scratch {
    Matrix<S> hidden;  ///< (T, hidden), its numbers or their derivative
    typename L::Scratch up, down;
  };

  /// All weights are zero.
  FeedForward(Index width, Index hidden) : up{width, hidden}, down{hidden, width} {}

  [[nodiscard]] Index input_size() const { return up.input_size(); }
  [[nodiscard]] Index output_size() const { return down.output_size(); }
  /// Numbers between the two maps.
  [[nodiscard]] Index hidden_size() const { return up.output_size(); }
  [[nodiscard]] static std::int64_t weight_count(std::int64_t width, std::int64_t hidden) {
    return L::weight_count(width, hidden) + L::weight_count(hidden, width);
  }

  void reserve(Scratch& scratch, Index rows) const {
    reserve_rows(scratch.hidden, rows, hidden_size());
    up.reserve(scratch.up, rows);
    down.reserve(scratch.down, rows);
  }

  /// y += layer(x), for a pass that acts. x, y (T, C).
  void add_forward(MatrixIn<S> x, Scratch& scratch, MatrixOut<S> y) const {
    reserve_rows(scratch.hidden, x.rows(), hidden_size());
    auto hidden = scratch.hidden.topRows(x.rows());
    up.forward(x, scratch.up, hidden);
    gelu_row(hidden.data(), hidden.size());
    down.add_forward(hidden, scratch.down, y);
  }

  /// y += layer(x), for a pass that trains.
  void add_forward(MatrixIn<S> x, Cache& cache, Scratch& scratch, MatrixOut<S> y) const requires TrainableLinearMap<L> {
    const Index tokens = x.rows();
    reserve_rows(cache.hidden, tokens, hidden_size());
    reserve_rows(cache.gelu_grad, tokens, hidden_size());
    auto hidden = cache.hidden.topRows(tokens);
    up.forward(x, cache.up, scratch.up, hidden);
    gelu_row(cache.hidden.data(), cache.gelu_grad.data(), tokens * hidden_size());
    down.add_forward(hidden, cache.down, scratch.down, y);
  }

  /// Adds to `grad`, overwrites dx. dy is the derivative of what forward added.
  void backward(MatrixIn<S> x, MatrixIn<S> dy, const Cache& cache, Scratch& scratch, FeedForward& grad,
                MatrixOut<S> dx) const requires TrainableLinearMap<L> {
    const Index tokens = x.rows();
    reserve_rows(scratch.hidden, tokens, hidden_size());
    auto dhidden = scratch.hidden.topRows(tokens);
    down.backward(cache.hidden.topRows(tokens), dy, cache.down, scratch.down, grad.down, dhidden);
    const S* const gelu_grad = cache.gelu_grad.data();
    for (Index i = 0; i < dhidden.size(); ++i) dhidden.data()[i] *= gelu_grad[i];
    up.backward(x, dhidden, cache.up, scratch.up, grad.up, dx);
  }

  void initialize(const WeightScale& scale, Rng& rng) requires TrainableLinearMap<L> {
    up.initialize(scale, rng);
    down.initialize(WeightScale{scale.residual, scale.residual}, rng);
  }

  static constexpr auto parameters() {
    return std::tuple{Field{"up", &FeedForward::up}, Field{"down", &FeedForward::down}};
  }
};

}  // namespace icrl
