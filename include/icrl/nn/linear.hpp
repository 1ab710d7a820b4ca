// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/math/product.hpp>
#include <icrl/math/row_kernels.hpp>
#include <icrl/nn/parameters.hpp>

namespace icrl {

/// y = x W + b, row by row. W is (in, out).
template <std::floating_point S>
struct Linear {
  Matrix<S> weight;
  RowVector<S> bias;

  Linear(Index in, Index out) : weight{Matrix<S>::Zero(in, out)}, bias{RowVector<S>::Zero(out)} {}

  /// x (T, in) -> y (T, out).
  void forward(MatrixIn<S> x, MatrixOut<S> y) const { affine<S>(x, weight, bias, y); }

  /// y += x W + b: for residual streams.
  void add_forward(MatrixIn<S> x, MatrixOut<S> y) const { add_affine<S>(x, weight, bias, y); }

  /// dW += x^T dy, db += the sum of dy's rows, dx = dy W^T. `x` is what forward was given.
  void backward(MatrixIn<S> x, MatrixIn<S> dy, Linear& grad, MatrixOut<S> dx) const {
    backward_parameters(x, dy, grad);
    multiply_transposed<S>(dy, weight, dx);
  }

  /// Backward without the input's derivative, for a layer that reads data.
  static void backward_parameters(MatrixIn<S> x, MatrixIn<S> dy, Linear& grad) {
    add_transposed_product<S>(x, dy, grad.weight);
    add_column_sums<S>(dy, grad.bias);
  }

  static constexpr auto parameters() {
    return std::tuple{Field{"weight", &Linear::weight}, Field{"bias", &Linear::bias}};
  }
};

}  // namespace icrl
