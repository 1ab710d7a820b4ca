// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include <icrl/math/product.hpp>
#include <icrl/math/row_kernels.hpp>
#include <icrl/nn/layer.hpp>
#include <icrl/nn/parameters.hpp>

namespace icrl {

/// y = x W + b, row by row. W is (in, out).
template <std::floating_point S>
struct Linear {
  using Scalar = S;
  using Cache = NoMemory;
  using Scratch = NoMemory;

  Matrix<S> weight;   ///< W, (in, out)
  RowVector<S> bias;  ///< b, (out)

  /// All weights are zero.
  Linear(Index in, Index out) : weight{Matrix<S>::Zero(in, out)}, bias{RowVector<S>::Zero(out)} {}

  [[nodiscard]] Index input_size() const { return weight.rows(); }
  [[nodiscard]] Index output_size() const { return weight.cols(); }
  [[nodiscard]] static std::int64_t weight_count(std::int64_t in, std::int64_t out) { return in * out + out; }

  /// y = x W + b. x (T, in) -> y (T, out).
  void forward(MatrixIn<S> x, MatrixOut<S> y) const { affine<S>(x, weight, bias, y); }

  /// y += x W + b: for residual streams.
  void add_forward(MatrixIn<S> x, MatrixOut<S> y) const { add_affine<S>(x, weight, bias, y); }

  /// dW += x^T dy, db += the sum of dy's rows, dx = dy W^T. `x` is what forward was given.
  void backward(MatrixIn<S> x, MatrixIn<S> dy, Linear& grad, MatrixOut<S> dx) const {
    backward_parameters(x, dy, grad);
    multiply_transposed<S>(dy, weight, dx);
  }

  /// Backward without the derivative with respect to the input, for a first layer.
  static void backward_parameters(MatrixIn<S> x, MatrixIn<S> dy, Linear& grad) {
    add_transposed_product<S>(x, dy, grad.weight);
    add_column_sums<S>(dy, grad.bias);
  }

  // The same as the protocol of layers has it (layer.hpp): this map needs no memory.
  static void reserve(Scratch&, Index) {}
  void forward(MatrixIn<S> x, Scratch&, MatrixOut<S> y) const { forward(x, y); }
  void add_forward(MatrixIn<S> x, Scratch&, MatrixOut<S> y) const { add_forward(x, y); }
  void forward(MatrixIn<S> x, Cache&, Scratch&, MatrixOut<S> y) const { forward(x, y); }
  void add_forward(MatrixIn<S> x, Cache&, Scratch&, MatrixOut<S> y) const { add_forward(x, y); }
  void backward(MatrixIn<S> x, MatrixIn<S> dy, const Cache&, Scratch&, Linear& grad, MatrixOut<S> dx) const {
    backward(x, dy, grad, dx);
  }

  /// Normal weights of standard deviation `stddev`; the bias is not changed.
  void initialize(double stddev, Rng& rng) { fill_normal(weight, stddev, rng); }
  void initialize(const WeightScale& scale, Rng& rng) { initialize(scale.inner, rng); }

  static constexpr auto parameters() {
    return std::tuple{Field{"weight", &Linear::weight}, Field{"bias", &Linear::bias}};
  }
};

}  // namespace icrl
