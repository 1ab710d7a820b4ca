// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/math/rounded_rows.hpp>
#include <icrl/math/row_kernels.hpp>
#include <icrl/nn/parameters.hpp>

namespace icrl {

/// y = gain * x_hat + bias, where x_hat = (x - mean) / stddev over each row (Ba, Kiros & Hinton, 2016).
template <std::floating_point S>
struct LayerNorm {
  RowVector<S> gain, bias;

  /// What backward needs of the forward pass.
  struct Cache {
    Matrix<S> x_hat;
    Matrix<S> inverse_stddev;  ///< (T, 1)
  };
  static constexpr S epsilon = S(1e-5);

  explicit LayerNorm(Index width) : gain{RowVector<S>::Ones(width)}, bias{RowVector<S>::Zero(width)} {}

  /// x (T, C) -> y (T, C).
  void forward(MatrixIn<S> x, Cache& cache, MatrixOut<S> y) const {
    reserve(cache, x.rows(), x.cols());
    for (Index r = 0; r < x.rows(); ++r) {
      cache.inverse_stddev(r, 0) = normalise_row(row_data(x, r), gain.data(), bias.data(), x.cols(), epsilon,
                                                 row_data(cache.x_hat, r), row_data(y, r));
    }
  }

  /// y of a block of rows, those from `first` on, in bfloat16; see round_scaled. The cache has to be
  /// reserved.
  void rounded_forward(MatrixIn<S> x, Index first, Cache& cache, RoundedRows rows,
                       Buffer<Bf16Pair>& pairs) const requires std::same_as<S, float> {
    for (Index r = 0; r < x.rows(); ++r) {
      cache.inverse_stddev(first + r, 0) =
          standardise_row(row_data(x, r), x.cols(), epsilon, row_data(cache.x_hat, first + r));
    }
    round_scaled(cache.x_hat.middleRows(first, x.rows()), gain, bias, first, rows, pairs);
  }

  static void reserve(Cache& cache, Index rows, Index width) {
    reserve_rows(cache.x_hat, rows, width);
    reserve_rows(cache.inverse_stddev, rows, 1);
  }

  /// y (T, C) once more, from what forward left behind.
  void restore(const Cache& cache, MatrixOut<S> y) const {
    for (Index r = 0; r < y.rows(); ++r)
      scale_row(row_data(cache.x_hat, r), gain.data(), bias.data(), y.cols(), row_data(y, r));
  }

  /// Adds to `grad`, overwrites dx; the formula stands at `normalise_row_backward`.
  void backward(MatrixIn<S> dy, const Cache& cache, LayerNorm& grad, MatrixOut<S> dx) const {
    backward(dy, 0, cache, grad, dx, false);
  }

  /// Adds to `grad` and to dx: for residual streams. Of a block of rows, those from `first` on.
  void add_backward(MatrixIn<S> dy, Index first, const Cache& cache, LayerNorm& grad, MatrixOut<S> dx) const {
    backward(dy, first, cache, grad, dx, true);
  }

  static constexpr auto parameters() {
    return std::tuple{Field{"gain", &LayerNorm::gain}, Field{"bias", &LayerNorm::bias}};
  }

private:
  void backward(MatrixIn<S> dy, Index first, const Cache& cache, LayerNorm& grad, MatrixOut<S> dx, bool add) const {
    for (Index r = 0; r < dy.rows(); ++r) {
      normalise_row_backward(row_data(dy, r), row_data(cache.x_hat, first + r), cache.inverse_stddev(first + r, 0),
                             gain.data(), dy.cols(), grad.gain.data(), grad.bias.data(), row_data(dx, r), add);
    }
  }
};

}  // namespace icrl
