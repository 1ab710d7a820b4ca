// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/math/bfloat16.hpp>
#include <icrl/math/product.hpp>
#include <icrl/math/row_kernels.hpp>
#include <icrl/nn/parameters.hpp>

namespace icrl {

namespace detail {

/// A member of what a pointer points to, null of null.
template <typename T, typename Member>
const Member* member(const T* object, Member T::*which) {
  return object == nullptr ? nullptr : &(object->*which);
}

}  // namespace detail

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
  /// What backward needs of the forward pass, if products are in bfloat16.
  struct Cache {
    Matrix<Bf16Pair> x;  ///< (T, pairs of in)
  };
  /// What is of use within one call only, and so may serve all layers of a pass.
  struct Scratch {
    Matrix<Bf16Pair> x_pairs, dy, dy_pairs;  ///< (pairs of T, in), (T, pairs of out), (pairs of T, out)
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

  /// Rounds the weights to bfloat16; `scratch` is used on the way.
  void round(Rounded& rounded, Scratch& scratch) const requires std::same_as<S, float> {
    const Index in = weight.rows(), out = weight.cols();
    round_rows(weight, scratch.dy);
    pair_rows(scratch.dy, in, out, scratch.dy_pairs);
    rounded.weight.assign({scratch.dy_pairs.data(), out, 1}, pair_count(in), out);
    rounded.transposed.assign({scratch.dy.data(), 1, pair_count(out)}, pair_count(out), in);
  }

  /// `forward` and `backward` of training: with factors in bfloat16 and sums in float if `rounded` is given, which is
  /// for floats alone. backward then reads what forward left in the cache and not x.
  void forward(MatrixIn<S> x, const Rounded* rounded, Cache& cache, MatrixOut<S> y) const {
    if (rounded == nullptr) return forward(x, y);
    round_input(x, cache);
    forward_rounded(*rounded, cache, y, false);
  }
  void add_forward(MatrixIn<S> x, const Rounded* rounded, Cache& cache, MatrixOut<S> y) const {
    if (rounded == nullptr) return add_forward(x, y);
    round_input(x, cache);
    forward_rounded(*rounded, cache, y, true);
  }
  void backward(MatrixIn<S> x, MatrixIn<S> dy, const Rounded* rounded, const Cache& cache, Scratch& scratch,
                Linear& grad, MatrixOut<S> dx) const {
    if (rounded == nullptr) return backward(x, dy, grad, dx);
    if constexpr (is_float) round_rows(dy, scratch.dy);
    add_column_sums<S>(dy, grad.bias);
    backward_rounded(*rounded, cache, scratch, grad, dx);
  }

  /// Their parts, for layers that make rounded inputs and derivatives themselves: y = x W + b or, with `add`, y += x W
  /// + b, with x in the cache; and dW += x^T dy, dx = dy W^T with dy in `scratch`.
  void forward_rounded(const Rounded& rounded, const Cache& cache, MatrixOut<S> y, bool add) const {
    ICRL_ASSERT(is_float && cache.x.rows() >= y.rows() && cache.x.cols() == pair_count(weight.rows()),
                "a linear map in bfloat16: the cache holds other inputs");
    if constexpr (is_float) {
      rounded.weight.multiply(y.rows(), {cache.x.data(), cache.x.cols(), 1}, y.data(), y.outerStride(), add,
                              bias.data());
    }
  }
  void backward_rounded(const Rounded& rounded, const Cache& cache, Scratch& scratch, Linear& grad,
                        MatrixOut<S> dx) const {
    const Index tokens = dx.rows(), in = weight.rows(), out = weight.cols();
    ICRL_ASSERT(is_float && cache.x.rows() >= tokens && cache.x.cols() == pair_count(in) &&
                    scratch.dy.rows() >= tokens && scratch.dy.cols() == pair_count(out),
                "a linear map in bfloat16: the cache holds other inputs or the scratch memory other derivatives");
    if constexpr (is_float) {
      pair_rows(cache.x, tokens, in, scratch.x_pairs);
      pair_rows(scratch.dy, tokens, out, scratch.dy_pairs);
      detail::product<Bf16Pair>(in, out, pair_count(tokens), {scratch.x_pairs.data(), 1, in},
                                {scratch.dy_pairs.data(), out, 1}, grad.weight.data(), out, true);
      rounded.transposed.multiply(tokens, {scratch.dy.data(), scratch.dy.cols(), 1}, dx.data(), dx.outerStride(),
                                  false);
    }
  }

  static constexpr auto parameters() {
    return std::tuple{Field{"weight", &Linear::weight}, Field{"bias", &Linear::bias}};
  }

private:
  static constexpr bool is_float = std::same_as<S, float>;

  static void round_input(MatrixIn<S> x, Cache& cache) {
    if constexpr (is_float) round_rows(x, cache.x);
  }
};

}  // namespace icrl
