// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/math/bf16_rows.hpp>
#include <icrl/nn/attention.hpp>
#include <icrl/nn/bf16_heads.hpp>
#include <icrl/nn/bf16_linear.hpp>
#include <icrl/nn/row_blocks.hpp>

namespace icrl {

/// A `CausalAttention` in a training pass with factors in bfloat16, for heads of an even size. It takes a window in
/// blocks of rows, as `detail::for_each_row_block` cuts it, and attends over the whole window after the last block.
class Bf16Attention {
public:
  /// The results of the forward pass that backward needs.
  struct Cache {
    Bf16Heads::Cache heads;
    Buffer<Bf16Pair> x_pairs;     ///< (pairs of T, C): the caller writes the input here
    Buffer<Bf16Pair> mixed_rows;  ///< (T, pairs of H D)
  };
  /// Temporary memory of one call, which all layers of a pass may share.
  struct Scratch {
    Bf16Heads::Scratch heads;
    Buffer<Bf16Pair> rows;      ///< (block, pairs of C): the caller writes the input's rows here
    Matrix<float> qkv;          ///< (block, 3 H D), before rounding
    Matrix<float> dmixed;       ///< (block, H D)
    Matrix<float> dx;           ///< (block, C)
    Matrix<float> dqkv;         ///< (T, 3 H D)
    Buffer<Bf16Pair> qkv_rows;  ///< (block, pairs of 3 H D)
    Buffer<Bf16Pair> dy_pairs, mixed_pairs, dqkv_pairs;  ///< (pairs of T, C), (.., H D), (.., 3 H D)
  };

  /// The layer must outlive it, and its heads must have an even size.
  explicit Bf16Attention(const CausalAttention<float>& layer)
      : layer_{&layer}, qkv_{layer.qkv}, output_{layer.output}, heads_{layer.inner_width(), layer.head_count} {
    ICRL_ASSERT(can_be(layer.head_size()), "attention in bfloat16: the size of a head must be even");
  }
  /// Whether heads of this size have such a pass.
  static bool can_be(Index head_size) { return head_size % 2 == 0; }

  void pack(Bf16Linear::PackScratch& scratch) {
    qkv_.pack(scratch);
    output_.pack(scratch);
  }

  /// Sizes both for a window. Call it before the first block.
  void reserve(Index tokens, Cache& cache, Scratch& scratch) const {
    reserve_blocks(tokens, scratch);
    reserve_rows(cache.x_pairs, pair_count(tokens), layer_->width());
    heads_.reserve(tokens, cache.heads, scratch.heads);
  }
  /// The same before the backward pass, which may use another scratch memory.
  void reserve(Index tokens, Scratch& scratch) const {
    reserve_blocks(tokens, scratch);
    heads_.reserve(tokens, scratch.heads);
  }

  /// Reads `count` rows from `first` on, whose x is in `scratch.rows` and `cache.x_pairs`.
  void take_input(const RotaryTable<float>& rotary, Index first, Index count, Cache& cache, Scratch& scratch) const {
    auto qkv = scratch.qkv.topRows(count);
    qkv_.forward(scratch.rows, qkv);
    for (Index r = 0; !rotary.empty() && r < count; ++r)
      rotary.rotate(&scratch.qkv(r, 0), 2 * layer_->inner_width(), first + r);
    heads_.take_input(qkv, first, cache.heads, scratch.heads);
  }
  /// y += attention(x), after the last block. y (T, C).
  void add_forward(Cache& cache, Scratch& scratch, MatrixOut<float> y) const {
    heads_.forward(y.rows(), cache.heads, scratch.heads, cache.mixed_rows);
    output_.add_forward(cache.mixed_rows, y);
  }

  /// The backward pass down to the heads' inputs, for all rows: dy (T, C). dy is not read afterwards.
  void begin_backward(MatrixIn<float> dy, const Cache& cache, Scratch& scratch, CausalAttention<float>& grad) const {
    const Index tokens = dy.rows();
    add_column_sums<float>(dy, grad.output.bias);
    detail::for_each_row_block(tokens, [&](Index first, Index count) {
      round_both(dy.middleRows(first, count), first, scratch.rows, scratch.dy_pairs);
      output_.backward(scratch.rows, scratch.dmixed.topRows(count));
      heads_.take_derivative(cache.mixed_rows, scratch.dmixed.topRows(count), first, cache.heads, scratch.heads);
    });
    pair_rows(cache.mixed_rows, tokens, layer_->inner_width(), scratch.mixed_pairs);
    Bf16Linear::add_gradient(scratch.mixed_pairs, scratch.dy_pairs, tokens, grad.output);
    heads_.backward(tokens, cache.heads, scratch.heads, scratch.dqkv);
  }
  /// Writes dx of `count` rows from `first` on to the top rows of `scratch.dx`.
  void backward(const RotaryTable<float>& rotary, Index first, Index count, Scratch& scratch,
                CausalAttention<float>& grad) const {
    auto dqkv = scratch.dqkv.middleRows(first, count);
    for (Index r = 0; !rotary.empty() && r < count; ++r)
      rotary.rotate_back(&dqkv(r, 0), 2 * layer_->inner_width(), first + r);
    round_both(dqkv, first, scratch.qkv_rows, scratch.dqkv_pairs);
    add_column_sums<float>(dqkv, grad.qkv.bias);
    qkv_.backward(scratch.qkv_rows, scratch.dx.topRows(count));
  }
  /// Adds the rest of the window's gradient to `grad`. Call it after the last block.
  static void end_backward(Index tokens, const Cache& cache, const Scratch& scratch, CausalAttention<float>& grad) {
    Bf16Linear::add_gradient(cache.x_pairs, scratch.dqkv_pairs, tokens, grad.qkv);
  }

private:
  void reserve_blocks(Index tokens, Scratch& scratch) const {
    const Index width = layer_->width(), inner = layer_->inner_width();
    reserve_rows(scratch.qkv, detail::row_block, 3 * inner);
    reserve_rows(scratch.dmixed, detail::row_block, inner);
    reserve_rows(scratch.dx, detail::row_block, width);
    reserve_rows(scratch.dqkv, tokens, 3 * inner);
    reserve_rows(scratch.rows, detail::row_block, pair_count(width));
    reserve_rows(scratch.qkv_rows, detail::row_block, pair_count(3 * inner));
    reserve_rows(scratch.dy_pairs, pair_count(tokens), width);
    reserve_rows(scratch.dqkv_pairs, pair_count(tokens), 3 * inner);
  }

  const CausalAttention<float>* layer_;
  Bf16Linear qkv_, output_;
  Bf16Heads heads_;
};

}  // namespace icrl
