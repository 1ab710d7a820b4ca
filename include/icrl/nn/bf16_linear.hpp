// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/math/bfloat16.hpp>
#include <icrl/math/product.hpp>
#include <icrl/nn/linear.hpp>

namespace icrl {

/// A linear map in a training pass whose factors are bfloat16 and whose sums are float: a copy of the weights of a
/// `Linear`, which must outlive it, in the layout that the products want. The pass uses the weights as of the last call
/// of `pack`.
class Bf16Linear {
public:
  /// Memory for `pack`, which all maps may share.
  struct PackScratch {
    Buffer<Bf16Pair> rows, pairs;  ///< (in, pairs of out), (pairs of in, out)
  };

  /// Takes over no weights yet; see `pack`.
  explicit Bf16Linear(const Linear<float>& linear) : linear_{&linear} {}
  explicit Bf16Linear(const Linear<float>&&) = delete;

  void pack(PackScratch& scratch) {
    const Index in = linear_->input_size(), out = linear_->output_size();
    round_rows(linear_->weight, scratch.rows);
    pair_rows(scratch.rows, in, out, scratch.pairs);
    weight_.assign({scratch.pairs.data(), out, 1}, pair_count(in), out);
    transposed_.assign({scratch.rows.data(), 1, pair_count(out)}, pair_count(out), in);
  }

  /// y = x W + b, for as many of the first rows of x as y has. Adjacent rows of x are interleaved in pairs.
  void forward(const Buffer<Bf16Pair>& x, MatrixOut<float> y) const { multiply(x, y, false); }
  /// y += x W + b: for residual streams.
  void add_forward(const Buffer<Bf16Pair>& x, MatrixOut<float> y) const { multiply(x, y, true); }

  /// dx = dy W^T, for as many of the first rows of dy as dx has. Adjacent rows of dy are interleaved in pairs.
  void backward(const Buffer<Bf16Pair>& dy, MatrixOut<float> dx) const {
    ICRL_ASSERT(
        dy.rows() >= dx.rows() && dy.cols() == pair_count(linear_->output_size()) && dx.cols() == linear_->input_size(),
        "a linear map in bfloat16: shapes disagree");
    transposed_.multiply({.rows = dx.rows(),
                          .width = dx.cols(),
                          .depth = dy.cols(),
                          .a = {dy.data(), dy.cols(), 1},
                          .c = dx.data(),
                          .c_stride = dx.outerStride()});
  }

  /// dW += x^T dy, of the first `tokens` tokens, which are in pairs.
  static void add_gradient(const Buffer<Bf16Pair>& x, const Buffer<Bf16Pair>& dy, Index tokens, Linear<float>& grad) {
    const Index in = grad.input_size(), out = grad.output_size(), depth = pair_count(tokens);
    ICRL_ASSERT(x.rows() >= depth && dy.rows() >= depth && x.cols() == in && dy.cols() == out,
                "a linear map in bfloat16: shapes disagree");
    detail::product<Bf16Pair>({.rows = in,
                               .width = out,
                               .depth = depth,
                               .a = {x.data(), 1, in},
                               .b = {dy.data(), out, 1},
                               .c = grad.weight.data(),
                               .c_stride = out,
                               .accumulate = true});
  }

private:
  void multiply(const Buffer<Bf16Pair>& x, MatrixOut<float> y, bool add) const {
    ICRL_ASSERT(
        x.rows() >= y.rows() && x.cols() == pair_count(linear_->input_size()) && y.cols() == linear_->output_size(),
        "a linear map in bfloat16: shapes disagree");
    weight_.multiply({.rows = y.rows(),
                      .width = y.cols(),
                      .depth = x.cols(),
                      .a = {x.data(), x.cols(), 1},
                      .c = y.data(),
                      .c_stride = y.outerStride(),
                      .accumulate = add,
                      .bias = linear_->bias.data()});
  }

  const Linear<float>* linear_;
  detail::PackedMatrix<Bf16Pair> weight_;      // (in, out), pairs along in
  detail::PackedMatrix<Bf16Pair> transposed_;  // (out, in), pairs along out
};

}  // namespace icrl
