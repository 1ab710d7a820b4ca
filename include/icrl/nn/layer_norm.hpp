// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include <icrl/math/row_kernels.hpp>
#include <icrl/nn/parameters.hpp>

namespace icrl {

/// y = gain * x_hat + bias, where x_hat = (x - mean) / stddev over each row (Ba, Kiros & Hinton, 2016).
template <std::floating_point S>
struct LayerNorm {
  using Scalar = S;

  RowVector<S> gain, bias;  ///< (C); at first ones and zeros

  /// The results of the forward pass that backward needs.
  struct Cache {
    Matrix<S> x_hat;           ///< (T, C)
    Matrix<S> inverse_stddev;  ///< (T, 1)
  };
  /// Temporary memory of one call: one row of x_hat.
  struct Scratch {
    RowVector<S> x_hat;  ///< (C)
  };
  static constexpr S epsilon = S(1e-5);  ///< added to the variance

  /// The identity up to the normalization: gain one, bias zero.
  explicit LayerNorm(Index width) : gain{RowVector<S>::Ones(width)}, bias{RowVector<S>::Zero(width)} {}

  [[nodiscard]] static std::int64_t weight_count(std::int64_t width) { return 2 * width; }

  /// x (T, C) -> y (T, C), for a pass that acts.
  void forward(MatrixIn<S> x, Scratch& scratch, MatrixOut<S> y) const {
    reserve(scratch);
    for (Index r = 0; r < x.rows(); ++r) {
      normalize_row(row_data(x, r), gain.data(), bias.data(), x.cols(), epsilon, scratch.x_hat.data(), row_data(y, r));
    }
  }
  /// Sizes the memory, so that rows of a pass that acts allocate nothing.
  void reserve(Scratch& scratch) const {
    if (scratch.x_hat.size() != gain.size()) scratch.x_hat.resize(gain.size());
  }

  /// x (T, C) -> y (T, C), for a pass that trains.
  void forward(MatrixIn<S> x, Cache& cache, MatrixOut<S> y) const {
    reserve(cache, x.rows(), x.cols());
    for (Index r = 0; r < x.rows(); ++r) {
      cache.inverse_stddev(r, 0) = normalize_row(row_data(x, r), gain.data(), bias.data(), x.cols(), epsilon,
                                                 row_data(cache.x_hat, r), row_data(y, r));
    }
  }
  /// Sizes the cache of a pass that trains, for up to `rows` rows.
  static void reserve(Cache& cache, Index rows, Index width) {
    reserve_rows(cache.x_hat, rows, width);
    reserve_rows(cache.inverse_stddev, rows, 1);
  }

  /// Computes y (T, C) again, from the cache of forward.
  void restore(const Cache& cache, MatrixOut<S> y) const {
    for (Index r = 0; r < y.rows(); ++r)
      scale_row(row_data(cache.x_hat, r), gain.data(), bias.data(), y.cols(), row_data(y, r));
  }

  /// Adds to `grad`, overwrites dx; see `normalize_row_backward` for the formula.
  void backward(MatrixIn<S> dy, const Cache& cache, LayerNorm& grad, MatrixOut<S> dx) const {
    backward(dy, 0, cache, grad, dx, false);
  }

  /// Adds to `grad` and to dx: for residual streams. Only for a block of rows, from `first` on.
  void add_backward(MatrixIn<S> dy, Index first, const Cache& cache, LayerNorm& grad, MatrixOut<S> dx) const {
    backward(dy, first, cache, grad, dx, true);
  }

  static constexpr auto parameters() {
    return std::tuple{Field{"gain", &LayerNorm::gain}, Field{"bias", &LayerNorm::bias}};
  }

private:
  void backward(MatrixIn<S> dy, Index first, const Cache& cache, LayerNorm& grad, MatrixOut<S> dx, bool add) const {
    for (Index r = 0; r < dy.rows(); ++r) {
      normalize_row_backward(row_data(dy, r), row_data(cache.x_hat, first + r), cache.inverse_stddev(first + r, 0),
                             gain.data(), dy.cols(), grad.gain.data(), grad.bias.data(), row_data(dx, r), add);
    }
  }
};

}  // namespace icrl
