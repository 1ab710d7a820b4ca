// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/nn/linear.hpp>
#include <icrl/nn/row_blocks.hpp>

namespace icrl {

/// y = GELU(x Up + b) Down + c, token by token. Up is (C, hidden), Down is (hidden, C).
template <std::floating_point S>
struct FeedForward {
  Linear<S> up, down;

  /// What backward needs of the forward pass.
  struct Cache {
    Matrix<S> hidden;                                     ///< (T, hidden), after the GELU
    Matrix<S> slope;                                      ///< (T, hidden), the GELU's derivative
    Buffer<Bf16Pair> x_pairs, hidden_pairs, slope_pairs;  ///< instead of them (pairs of T, C or hidden)
  };
  /// What is of use within one call only, and so may serve all layers of a pass. In bfloat16, T is a block's.
  struct Scratch {
    Matrix<S> hidden;                          ///< (T, hidden), before the GELU, or its derivative
    Matrix<S> dx;                              ///< (T, C)
    Buffer<Bf16Pair> rows, hidden_rows;        ///< (T, pairs of C), (T, pairs of hidden)
    Buffer<Bf16Pair> dy_pairs, dhidden_pairs;  ///< (pairs of all T, C), (pairs of all T, hidden)
  };
  struct Rounded {
    typename Linear<S>::Rounded up, down;
  };
  struct RoundingScratch {
    typename Linear<S>::RoundingScratch up, down;
  };

  FeedForward(Index width, Index hidden) : up{width, hidden}, down{hidden, width} {}

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
  void backward(MatrixIn<S> x, MatrixIn<S> dy, const Cache& cache, Scratch& scratch, FeedForward& grad,
                MatrixOut<S> dx) const {
    const Index tokens = x.rows(), hidden_size = up.weight.cols();
    reserve_rows(scratch.hidden, tokens, hidden_size);
    auto dhidden = scratch.hidden.topRows(tokens);
    down.backward(cache.hidden.topRows(tokens), dy, grad.down, dhidden);
    const S* const slope = cache.slope.data();
    for (Index i = 0; i < dhidden.size(); ++i) dhidden.data()[i] *= slope[i];
    up.backward(x, dhidden, grad.up, dx);
  }

  /// The same with products in bfloat16, see Linear. A block of rows goes through both maps at once: what lies between
  /// them need not leave the second-level cache. `x` is asked for a block before these rows of y change.
  void add_rounded_forward(const Rounded& rounded, InputBlocks x, Cache& cache, Scratch& scratch,
                           MatrixOut<S> y) const requires std::same_as<S, float> {
    const Index pairs = pair_count(y.rows());
    reserve_blocks(scratch, y.rows());
    reserve_rows(cache.x_pairs, pairs, up.weight.rows());
    reserve_rows(cache.hidden_pairs, pairs, up.weight.cols());
    reserve_rows(cache.slope_pairs, pairs, up.weight.cols());
    detail::for_each_row_block(y.rows(), [&](Index first, Index count) {
      x(first, count, scratch.rows, cache.x_pairs);
      up.rounded_forward(rounded.up, scratch.rows, scratch.hidden.topRows(count));
      round_gelu(scratch.hidden.topRows(count), first, scratch.hidden_rows, cache.hidden_pairs, cache.slope_pairs);
      down.add_rounded_forward(rounded.down, scratch.hidden_rows, y.middleRows(first, count));
    });
  }

  /// Adds to `grad`; `dx` takes a block when these rows of dy are not read any more.
  void rounded_backward(const Rounded& rounded, MatrixIn<S> dy, const Cache& cache, Scratch& scratch, FeedForward& grad,
                        DerivativeBlocks dx) const requires std::same_as<S, float> {
    reserve_blocks(scratch, dy.rows());
    add_column_sums<S>(dy, grad.down.bias);
    detail::for_each_row_block(dy.rows(), [&](Index first, Index count) {
      round_both(dy.middleRows(first, count), first, scratch.rows, scratch.dy_pairs);
      down.rounded_backward(rounded.down, scratch.rows, scratch.hidden.topRows(count));
      round_product(scratch.hidden.topRows(count), first, cache.slope_pairs, scratch.hidden_rows, scratch.dhidden_pairs,
                    grad.up.bias);
      up.rounded_backward(rounded.up, scratch.hidden_rows, scratch.dx.topRows(count));
      dx(first, scratch.dx.topRows(count));
    });
    Linear<S>::add_rounded_gradient(cache.hidden_pairs, scratch.dy_pairs, dy.rows(), grad.down);
    Linear<S>::add_rounded_gradient(cache.x_pairs, scratch.dhidden_pairs, dy.rows(), grad.up);
  }

  void round(Rounded& rounded, RoundingScratch& scratch) const requires std::same_as<S, float> {
    up.round(rounded.up, scratch.up);
    down.round(rounded.down, scratch.down);
  }

  static constexpr auto parameters() {
    return std::tuple{Field{"up", &FeedForward::up}, Field{"down", &FeedForward::down}};
  }

private:
  void reserve_blocks(Scratch& scratch, Index tokens) const {
    const Index width = up.weight.rows(), hidden_size = up.weight.cols();
    reserve_rows(scratch.hidden, detail::row_block, hidden_size);
    reserve_rows(scratch.dx, detail::row_block, width);
    reserve_rows(scratch.rows, detail::row_block, pair_count(width));
    reserve_rows(scratch.hidden_rows, detail::row_block, pair_count(hidden_size));
    reserve_rows(scratch.dy_pairs, pair_count(tokens), width);
    reserve_rows(scratch.dhidden_pairs, pair_count(tokens), hidden_size);
  }
};

}  // namespace icrl
