// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>

#include <icrl/nn/attention.hpp>
#include <icrl/nn/dropout.hpp>

namespace icrl {

/// A training pass over causal attention that drops weights of attention after the softmax, so that a token does not
/// see some of the tokens before it, or itself. The layer's own pass is the reference: at rate 0 both give the same
/// bits. The layer must outlive it. Head h drops by masks.fork(h), in which a row is a query and a column a key.
template <std::floating_point S, TrainableLinearMap L>
class DropoutAttention {
public:
  using Layer = CausalAttention<S, L>;  ///< what the pass is of
  using Cache = typename Layer::Cache;  ///< the probabilities in it are those before dropout
  /// Temporary memory of one call.
  struct Scratch {
    typename Layer::Scratch layer;  ///< as of the layer's own pass
    Buffer<S> dropped;              ///< (block, padded T): rows of probabilities after dropout
  };

  /// `rate` lies in [0, 1).
  DropoutAttention(const Layer& layer, double rate, const Rng& masks) : layer_{layer}, rate_{rate}, masks_{masks} {}

  /// y += attention(x). x, y (T, C).
  void add_forward(MatrixIn<S> x, const RotaryTable<S>& rotary, Cache& cache, Scratch& scratch, MatrixOut<S> y) const {
    const Index tokens = x.rows(), inner = layer_.inner_width();
    reserve_rows(cache.qkv, tokens, 3 * inner);
    reserve_rows(cache.mixed, tokens, inner);
    layer_.qkv.forward(x, cache.qkv_map, scratch.layer.qkv_map, cache.qkv.topRows(tokens));
    for (Index t = 0; !rotary.empty() && t < tokens; ++t) rotary.rotate(&cache.qkv(t, 0), 2 * inner, t);
    heads_forward(tokens, cache, scratch);
    layer_.output.add_forward(cache.mixed.topRows(tokens), cache.output_map, scratch.layer.output_map, y);
  }

  /// Adds to `grad`, overwrites dx. x is what forward was given, dy the derivative of what it added. Per head, with P
  /// the probabilities, M the mask (0 or 1 / (1 - rate)), O = (P * M) V and s = 1/sqrt(D):
  ///   dV = (P * M)^T dO,  dP = (dO V^T) * M,  dS = P * (dP - rowsum(dP * P)) s,  dQ = dS K,  dK = dS^T Q
  /// where rowsum(dP * P) = rowsum((dO V^T) * (P * M)) = rowsum(dO * O), as without dropout.
  void backward(MatrixIn<S> x, MatrixIn<S> dy, const RotaryTable<S>& rotary, const Cache& cache, Scratch& scratch,
                Layer& grad, MatrixOut<S> dx) const {
    const Index tokens = x.rows(), inner = layer_.inner_width();
    reserve_rows(scratch.layer.dmixed, tokens, inner);
    reserve_rows(scratch.layer.dqkv, tokens, 3 * inner);
    layer_.output.backward(cache.mixed.topRows(tokens), dy, cache.output_map, scratch.layer.output_map, grad.output,
                           scratch.layer.dmixed.topRows(tokens));
    heads_backward(tokens, cache, scratch);
    for (Index t = 0; !rotary.empty() && t < tokens; ++t) rotary.rotate_back(&scratch.layer.dqkv(t, 0), 2 * inner, t);
    layer_.qkv.backward(x, scratch.layer.dqkv.topRows(tokens), cache.qkv_map, scratch.layer.qkv_map, grad.qkv, dx);
  }

private:
  using Blocks = detail::ScoreBlocks;
  static constexpr Index block = Blocks::rows;

  [[nodiscard]] S score_scale() const { return S(1) / std::sqrt(static_cast<S>(layer_.head_size())); }
  [[nodiscard]] Dropout dropout_of(Index head) const { return {rate_, masks_.fork(static_cast<std::uint64_t>(head))}; }

  /// Transposes the D columns of qkv from `column` on; the rest of every row is zero.
  static void transpose(const Cache& cache, Index column, Index tokens, Index size, Buffer<S>& transposed) {
    detail::pack_panel<S>({&cache.qkv(0, column), 1, cache.qkv.cols()}, size, tokens, transposed.data(),
                          transposed.cols());
    clear_columns(transposed, size, tokens, padded<S>(tokens) - tokens);
  }

  /// The probabilities of the tokens from `first` on, after dropout, in rows of `stride` numbers.
  static const S* drop_block(const Dropout& dropout, const S* probabilities, Index first, Index rows, Index stride,
                             Scratch& scratch) {
    S* const dropped = scratch.dropped.data();
    std::copy_n(probabilities, rows * stride, dropped);
    for (Index r = 0; r < rows; ++r) dropout.drop_row(first + r, dropped + r * stride, first + r + 1);
    return dropped;
  }

  void heads_forward(Index tokens, Cache& cache, Scratch& scratch) const {
    const Index width = layer_.inner_width(), size = layer_.head_size();
    detail::reserve_columns(cache.probabilities, layer_.head_count, Blocks::triangle(Blocks::count(tokens)));
    detail::reserve_columns(scratch.layer.transposed, size, Blocks::whole(tokens));
    detail::reserve_columns(scratch.dropped, block, Blocks::whole(tokens));
    for (Index h = 0; h < layer_.head_count; ++h) {
      const Dropout dropout = dropout_of(h);
      transpose(cache, width + h * size, tokens, size, scratch.layer.transposed);
      for (Index first = 0; first < tokens; first += block) {
        const Index last = std::min(first + block, tokens), stride = first + block;
        S* const scores = &cache.probabilities(h, Blocks::triangle(first / block));
        detail::product<S>({.rows = last - first,
                            .width = padded<S>(last),
                            .depth = size,
                            .a = detail::rows_of(cache.qkv, first, h * size),
                            .b = detail::rows_of(scratch.layer.transposed, 0, 0),
                            .c = scores,
                            .c_stride = stride});
        for (Index t = first; t < last; ++t)
          softmax_row(scores + (t - first) * stride, t + 1, padded<S>(last), score_scale());
        detail::product<S>({.rows = last - first,
                            .width = size,
                            .depth = last,
                            .a = {drop_block(dropout, scores, first, last - first, stride, scratch), stride, 1},
                            .b = detail::rows_of(cache.qkv, 0, 2 * width + h * size),
                            .c = &cache.mixed(first, h * size),
                            .c_stride = width});
      }
    }
  }

  void heads_backward(Index tokens, const Cache& cache, Scratch& scratch) const {
    const Index width = layer_.inner_width(), size = layer_.head_size();
    detail::reserve_columns(scratch.layer.dscores, block, Blocks::whole(tokens));
    detail::reserve_columns(scratch.layer.transposed, size, Blocks::whole(tokens));
    detail::reserve_columns(scratch.dropped, block, Blocks::whole(tokens));
    clear_columns(scratch.layer.dqkv, tokens, width, 2 * width);
    for (Index h = 0; h < layer_.head_count; ++h) {
      transpose(cache, 2 * width + h * size, tokens, size, scratch.layer.transposed);
      for (Index first = 0; first < tokens; first += block) block_backward(cache, scratch, h, first, tokens);
    }
  }

  /// Head h of the tokens first .. last: their dQ, and their contribution to dK and dV of all tokens that they attend
  /// to. `transposed` holds the head's values.
  void block_backward(const Cache& cache, Scratch& scratch, Index h, Index first, Index tokens) const {
    const Index last = std::min(first + block, tokens), rows = last - first, stride = first + block;
    const Index width = layer_.inner_width(), size = layer_.head_size();
    const Dropout dropout = dropout_of(h);
    const S* const probabilities = &cache.probabilities(h, Blocks::triangle(first / block));
    const auto& dmixed = scratch.layer.dmixed;
    auto& dqkv = scratch.layer.dqkv;
    S* const dscores = scratch.layer.dscores.data();
    detail::product<S>({.rows = rows,
                        .width = padded<S>(last),
                        .depth = size,
                        .a = detail::rows_of(dmixed, first, h * size),
                        .b = detail::rows_of(scratch.layer.transposed, 0, 0),
                        .c = dscores,
                        .c_stride = stride});
    for (Index r = 0; r < rows; ++r) {
      dropout.drop_row(first + r, dscores + r * stride, first + r + 1);
      softmax_row_backward(probabilities + r * stride, padded<S>(last), score_scale(),
                           dot(&cache.mixed(first + r, h * size), &dmixed(first + r, h * size), size),
                           dscores + r * stride);
    }
    detail::product<S>({.rows = rows,
                        .width = size,
                        .depth = last,
                        .a = {dscores, stride, 1},
                        .b = detail::rows_of(cache.qkv, 0, width + h * size),
                        .c = &dqkv(first, h * size),
                        .c_stride = 3 * width});
    detail::product<S>({.rows = last,
                        .width = size,
                        .depth = rows,
                        .a = {dscores, 1, stride},
                        .b = detail::rows_of(cache.qkv, first, h * size),
                        .c = &dqkv(0, width + h * size),
                        .c_stride = 3 * width,
                        .accumulate = true});
    detail::product<S>({.rows = last,
                        .width = size,
                        .depth = rows,
                        .a = {drop_block(dropout, probabilities, first, rows, stride, scratch), 1, stride},
                        .b = detail::rows_of(dmixed, first, h * size),
                        .c = &dqkv(0, 2 * width + h * size),
                        .c_stride = 3 * width,
                        .accumulate = true});
  }

  const Layer& layer_;
  double rate_;
  Rng masks_;
};

}  // namespace icrl
