// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/math/bfloat16.hpp>
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

  /// The weights in bfloat16, as the products of a training pass want them. Made anew when the weights have changed.
  struct Rounded {
    detail::PackedMatrix<Bf16Pair> weight;      ///< (in, out), pairs along in
    detail::PackedMatrix<Bf16Pair> transposed;  ///< (out, in), pairs along out
  };
  /// Used on the way there.
  struct RoundingScratch {
    Buffer<Bf16Pair> rows, pairs;  ///< (in, pairs of out), (pairs of in, out)
  };

  /// y = x W + b. x (T, in) -> y (T, out).
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

  void round(Rounded& rounded, RoundingScratch& scratch) const requires std::same_as<S, float> {
    const Index in = weight.rows(), out = weight.cols();
    round_rows(weight, scratch.rows);
    pair_rows(scratch.rows, in, out, scratch.pairs);
    rounded.weight.assign({scratch.pairs.data(), out, 1}, pair_count(in), out);
    rounded.transposed.assign({scratch.rows.data(), 1, pair_count(out)}, pair_count(out), in);
  }

  /// Training with factors in bfloat16 and sums in float: y = x W + b, of the first rows of x, which are in pairs of
  /// neighbours.
  void rounded_forward(const Rounded& rounded, const Buffer<Bf16Pair>& x,
                       MatrixOut<S> y) const requires std::same_as<S, float> {
    rounded_forward(rounded, x, y, false);
  }
  /// y += x W + b: for residual streams.
  void add_rounded_forward(const Rounded& rounded, const Buffer<Bf16Pair>& x,
                           MatrixOut<S> y) const requires std::same_as<S, float> {
    rounded_forward(rounded, x, y, true);
  }
  /// dx = dy W^T, of the first rows of dy, which are in pairs of neighbours.
  void rounded_backward(const Rounded& rounded, const Buffer<Bf16Pair>& dy,
                        MatrixOut<S> dx) const requires std::same_as<S, float> {
    ICRL_ASSERT(dy.rows() >= dx.rows() && dy.cols() == pair_count(weight.cols()) && dx.cols() == weight.rows(),
                "a linear map in bfloat16: shapes disagree");
    rounded.transposed.multiply(dx.rows(), {dy.data(), dy.cols(), 1}, dx.data(), dx.outerStride(), false);
  }
  /// dW += x^T dy, of the first `tokens` tokens, which are in pairs.
  static void add_rounded_gradient(const Buffer<Bf16Pair>& x, const Buffer<Bf16Pair>& dy, Index tokens,
                                   Linear& grad) requires std::same_as<S, float> {
    const Index in = grad.weight.rows(), out = grad.weight.cols(), depth = pair_count(tokens);
    ICRL_ASSERT(x.rows() >= depth && dy.rows() >= depth && x.cols() == in && dy.cols() == out,
                "a linear map in bfloat16: shapes disagree");
    detail::product<Bf16Pair>(in, out, depth, {x.data(), 1, in}, {dy.data(), out, 1}, grad.weight.data(), out, true);
  }

  static constexpr auto parameters() {
    return std::tuple{Field{"weight", &Linear::weight}, Field{"bias", &Linear::bias}};
  }

private:
  void rounded_forward(const Rounded& rounded, const Buffer<Bf16Pair>& x, MatrixOut<S> y, bool add) const {
    ICRL_ASSERT(x.rows() >= y.rows() && x.cols() == pair_count(weight.rows()) && y.cols() == weight.cols(),
                "a linear map in bfloat16: shapes disagree");
    rounded.weight.multiply(y.rows(), {x.data(), x.cols(), 1}, y.data(), y.outerStride(), add, bias.data());
  }
};

}  // namespace icrl
