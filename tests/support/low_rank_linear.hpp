// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstdint>

#include <icrl/nn/linear.hpp>

namespace icrl::test {

/// y = x W + b + (x A) B with frozen W and b: an adapter of low rank (Hu et al., 2022, section 4.1). Only A and B are
/// trained; B begins at zero, so that the adapter begins by changing nothing.
template <std::floating_point S>
struct LowRankLinear {
  using Scalar = S;
  static constexpr Index rank = 2;

  Linear<S> base;  ///< (in, out)
  Matrix<S> a, b;  ///< (in, rank), (rank, out)

  struct Cache {
    Matrix<S> low;  ///< (T, rank): x A
  };
  struct Scratch {
    Matrix<S> low;  ///< (T, rank): x A, or its derivative
  };

  LowRankLinear(Index in, Index out) : base{in, out}, a{Matrix<S>::Zero(in, rank)}, b{Matrix<S>::Zero(rank, out)} {}

  [[nodiscard]] Index input_size() const { return base.input_size(); }
  [[nodiscard]] Index output_size() const { return base.output_size(); }
  [[nodiscard]] static std::int64_t weight_count(std::int64_t in, std::int64_t out) {
    return Linear<S>::weight_count(in, out) + rank * (in + out);
  }
  static void reserve(Scratch& scratch, Index rows) { reserve_rows(scratch.low, rows, rank); }

  void forward(MatrixIn<S> x, Scratch& scratch, MatrixOut<S> y) const {
    base.forward(x, y);
    add_adapter(x, scratch.low, y);
  }
  void add_forward(MatrixIn<S> x, Scratch& scratch, MatrixOut<S> y) const {
    base.add_forward(x, y);
    add_adapter(x, scratch.low, y);
  }
  void forward(MatrixIn<S> x, Cache& cache, Scratch&, MatrixOut<S> y) const {
    base.forward(x, y);
    add_adapter(x, cache.low, y);
  }
  void add_forward(MatrixIn<S> x, Cache& cache, Scratch&, MatrixOut<S> y) const {
    base.add_forward(x, y);
    add_adapter(x, cache.low, y);
  }
  void backward(MatrixIn<S> x, MatrixIn<S> dy, const Cache& cache, Scratch& scratch, LowRankLinear& grad,
                MatrixOut<S> dx) const {
    reserve_rows(scratch.low, x.rows(), rank);
    auto dlow = scratch.low.topRows(x.rows());
    dlow = dy.lazyProduct(b.transpose());
    grad.b += cache.low.topRows(x.rows()).transpose().lazyProduct(dy);
    grad.a += x.transpose().lazyProduct(dlow);
    multiply_transposed<S>(dy, base.weight, dx);
    dx += dlow.lazyProduct(a.transpose());
  }

  void initialize(const WeightScale&, Rng& rng) { fill_normal(a, 1 / std::sqrt(static_cast<double>(rank)), rng); }

  static constexpr auto parameters() {
    using L = LowRankLinear;
    return std::tuple{Frozen{"base", &L::base}, Field{"a", &L::a}, Field{"b", &L::b}};
  }

private:
  void add_adapter(MatrixIn<S> x, Matrix<S>& memory, MatrixOut<S> y) const {
    reserve_rows(memory, x.rows(), rank);
    auto low = memory.topRows(x.rows());
    low = x.lazyProduct(a);
    y += low.lazyProduct(b);
  }
};

}  // namespace icrl::test
