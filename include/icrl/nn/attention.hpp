// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

#include <icrl/nn/linear.hpp>
#include <icrl/nn/rotary.hpp>
#include <icrl/nn/score_blocks.hpp>
#include <icrl/nn/stream_attention.hpp>

namespace icrl {

/// The place of the next token of one stream in a layer: after the `position` tokens whose keys and values are already
/// stored.
template <std::floating_point S>
struct StreamPlace {
  StreamKeyValues<S> past;  ///< keys and values of the stream in this layer
  Index position;           ///< of the token, from 0
};

/// Causal multi-head self-attention (Vaswani et al., 2017, section 3.2): every token attends to itself and to earlier
/// tokens. H heads of D numbers; H D need not be C, the tokens' width. The queries, keys and values of a token lie side
/// by side: (T, 3 H D) = q | k | v, each split into heads.
template <std::floating_point S, LinearMap L = Linear<S>>
struct CausalAttention {
  using Scalar = S;

  L qkv;             ///< (C, 3 H D)
  L output;          ///< (H D, C)
  Index head_count;  ///< H; not a weight

  /// The results of the forward pass that backward needs. The triangle above the diagonal is neither computed nor read,
  /// except in the blocks on the diagonal.
  struct Cache {
    Matrix<S> qkv;            ///< (T, 3 H D), queries and keys already rotated
    Buffer<S> probabilities;  ///< (H, triangle): blocks of rows one after another, each as wide as its last row attends
    Matrix<S> mixed;          ///< (T, H D): values weighted by attention, heads side by side
    LayerCache<L> qkv_map, output_map;
  };
  /// Temporary memory of one call, which all layers of a pass may share.
  struct Scratch {
    Buffer<S> transposed;  ///< (D, padded T): one head's keys or values
    Buffer<S> dscores;     ///< (block, padded T)
    Matrix<S> dmixed;      ///< (T, H D)
    Matrix<S> dqkv;        ///< (T, 3 H D)
    typename L::Scratch qkv_map, output_map;
  };
  /// The same for passes that act.
  struct StreamScratch {
    Matrix<S> qkv, mixed;  ///< (streams, 3 H D), (streams, H D)
    Matrix<S> scores;      ///< (H, padded tokens)
    typename L::Scratch qkv_map, output_map;
  };

  /// H = `heads` heads of width / heads numbers, which must be whole. All weights are zero.
  CausalAttention(Index width, Index heads) : CausalAttention{width, heads, width / heads} {}
  /// Heads of any size. All weights are zero.
  CausalAttention(Index width, Index heads, Index head_size)
      : qkv{width, 3 * heads * head_size}, output{heads * head_size, width}, head_count{heads} {}

  /// Numbers per token, C.
  [[nodiscard]] Index width() const { return output.output_size(); }
  /// Numbers of all heads, H D.
  [[nodiscard]] Index inner_width() const { return output.input_size(); }
  /// Numbers per head, D.
  [[nodiscard]] Index head_size() const { return inner_width() / head_count; }
  [[nodiscard]] static std::int64_t weight_count(std::int64_t width, std::int64_t heads, std::int64_t head_size) {
    return L::weight_count(width, 3 * heads * head_size) + L::weight_count(heads * head_size, width);
  }

  /// y += attention(x). x, y (T, C). An empty `rotary` means that positions are not rotary.
  void add_forward(MatrixIn<S> x, const RotaryTable<S>& rotary, Cache& cache, Scratch& scratch,
                   MatrixOut<S> y) const requires TrainableLinearMap<L> {
    const Index tokens = x.rows(), inner = inner_width();
    reserve_rows(cache.qkv, tokens, 3 * inner);
    reserve_rows(cache.mixed, tokens, inner);
    qkv.forward(x, cache.qkv_map, scratch.qkv_map, cache.qkv.topRows(tokens));
    for (Index t = 0; !rotary.empty() && t < tokens; ++t) rotary.rotate(&cache.qkv(t, 0), 2 * inner, t);
    heads_forward(tokens, cache, scratch);
    output.add_forward(cache.mixed.topRows(tokens), cache.output_map, scratch.output_map, y);
  }

  /// Adds to `grad`, overwrites dx. x is what forward was given, dy the derivative of what it added.
  /// Per head, with P the probabilities, O = P V and s = 1/sqrt(D):
  ///   dV = P^T dO,  dP = dO V^T,  dS = P * (dP - rowsum(dP * P)) s,  dQ = dS K,  dK = dS^T Q
  /// where rowsum(dP * P) = rowsum(dO * O) (Dao et al., 2022, section B.2).
  void backward(MatrixIn<S> x, MatrixIn<S> dy, const RotaryTable<S>& rotary, const Cache& cache, Scratch& scratch,
                CausalAttention& grad, MatrixOut<S> dx) const requires TrainableLinearMap<L> {
    const Index tokens = x.rows(), inner = inner_width();
    reserve_rows(scratch.dmixed, tokens, inner);
    reserve_rows(scratch.dqkv, tokens, 3 * inner);
    output.backward(cache.mixed.topRows(tokens), dy, cache.output_map, scratch.output_map, grad.output,
                    scratch.dmixed.topRows(tokens));
    heads_backward(tokens, cache, scratch);
    for (Index t = 0; !rotary.empty() && t < tokens; ++t) rotary.rotate_back(&scratch.dqkv(t, 0), 2 * inner, t);
    qkv.backward(x, scratch.dqkv.topRows(tokens), cache.qkv_map, scratch.qkv_map, grad.qkv, dx);
  }

  /// Sizes the memory for passes over up to `streams` streams of up to `tokens` tokens.
  void reserve(StreamScratch& scratch, Index streams, Index tokens) const {
    reserve_rows(scratch.qkv, streams, 3 * inner_width());
    reserve_rows(scratch.mixed, streams, inner_width());
    if (scratch.scores.rows() < head_count || scratch.scores.cols() < padded<S>(tokens))
      scratch.scores.resize(std::max(head_count, scratch.scores.rows()),
                            std::max(padded<S>(tokens), scratch.scores.cols()));
    qkv.reserve(scratch.qkv_map, streams);
    output.reserve(scratch.output_map, streams);
  }

  /// One token of every stream, x (streams, C): appends their keys and values to the cache and keeps their queries for
  /// `attend`.
  void append(MatrixIn<S> x, const RotaryTable<S>& rotary, std::span<const StreamPlace<S>> places,
              StreamScratch& scratch) const {
    const Index inner = inner_width();
    qkv.forward(x, scratch.qkv_map, scratch.qkv.topRows(x.rows()));
    for (Index i = 0; i < x.rows(); ++i) {
      S* const row = &scratch.qkv(i, 0);
      const StreamPlace<S>& place = places[static_cast<std::size_t>(i)];
      if (!rotary.empty()) rotary.rotate(row, 2 * inner, place.position);
      place.past.put(place.position, row + inner, row + 2 * inner);
    }
  }

  /// y += attention of the tokens just appended, only for the streams in `wanted`: y (wanted, C).
  void attend(std::span<const Index> wanted, std::span<const StreamPlace<S>> places, StreamScratch& scratch,
              MatrixOut<S> y) const {
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const StreamPlace<S>& place = places[static_cast<std::size_t>(wanted[i])];
      icrl::attend(&scratch.qkv(wanted[i], 0), head_count, place.past, place.position + 1, scratch.scores,
                   &scratch.mixed(static_cast<Index>(i), 0));
    }
    output.add_forward(scratch.mixed.topRows(y.rows()), scratch.output_map, y);
  }

  void initialize(const WeightScale& scale, Rng& rng) requires TrainableLinearMap<L> {
    qkv.initialize(scale, rng);
    output.initialize(WeightScale{scale.residual, scale.residual}, rng);
  }

  static constexpr auto parameters() {
    return std::tuple{Field{"qkv", &CausalAttention::qkv}, Field{"output", &CausalAttention::output}};
  }

private:
  using Blocks = detail::ScoreBlocks;
  static constexpr Index block = Blocks::rows;

  /// Transposes the D columns of qkv from `column` on, so that products over them read whole rows. The rest is filled
  /// with zeros: it is multiplied by zeros later, and an infinity left there would give NaN.
  static void transpose(const Cache& cache, Index column, Index tokens, Index size, Scratch& scratch) {
    detail::pack_panel<S>({&cache.qkv(0, column), 1, cache.qkv.cols()}, size, tokens, scratch.transposed.data(),
                          scratch.transposed.cols());
    clear_columns(scratch.transposed, size, tokens, padded<S>(tokens) - tokens);
  }

  void heads_forward(Index tokens, Cache& cache, Scratch& scratch) const {
    const Index width = inner_width(), size = head_size();
    detail::reserve_columns(cache.probabilities, head_count, Blocks::triangle(Blocks::count(tokens)));
    detail::reserve_columns(scratch.transposed, size, Blocks::whole(tokens));
    const S scale = S(1) / std::sqrt(static_cast<S>(size));
    for (Index h = 0; h < head_count; ++h) {
      transpose(cache, width + h * size, tokens, size, scratch);
      for (Index first = 0; first < tokens; first += block) {
        const Index last = std::min(first + block, tokens);
        S* const scores = &cache.probabilities(h, Blocks::triangle(first / block));
        const Index stride = first + block;
        detail::product<S>({.rows = last - first,
                            .width = padded<S>(last),
                            .depth = size,
                            .a = detail::rows_of(cache.qkv, first, h * size),
                            .b = detail::rows_of(scratch.transposed, 0, 0),
                            .c = scores,
                            .c_stride = stride});
        for (Index t = first; t < last; ++t) softmax_row(scores + (t - first) * stride, t + 1, padded<S>(last), scale);
        detail::product<S>({.rows = last - first,
                            .width = size,
                            .depth = last,
                            .a = {scores, stride, 1},
                            .b = detail::rows_of(cache.qkv, 0, 2 * width + h * size),
                            .c = &cache.mixed(first, h * size),
                            .c_stride = width});
      }
    }
  }

  void heads_backward(Index tokens, const Cache& cache, Scratch& scratch) const {
    const Index width = inner_width(), size = head_size();
    detail::reserve_columns(scratch.dscores, block, Blocks::whole(tokens));
    detail::reserve_columns(scratch.transposed, size, Blocks::whole(tokens));
    clear_columns(scratch.dqkv, tokens, width, 2 * width);
    for (Index h = 0; h < head_count; ++h) {
      transpose(cache, 2 * width + h * size, tokens, size, scratch);
      for (Index first = 0; first < tokens; first += block) block_backward(cache, scratch, h, first, tokens, size);
    }
  }

  /// Head h of the tokens first .. last: their dQ, and their contribution to dK and dV of all tokens that they attend
  /// to. Their rows of P and dS are used while they are in the L1 cache. `transposed` holds the head's values.
  void block_backward(const Cache& cache, Scratch& scratch, Index h, Index first, Index tokens, Index size) const {
    const Index last = std::min(first + block, tokens), rows = last - first;
    const Index width = inner_width(), stride = first + block;
    const S scale = S(1) / std::sqrt(static_cast<S>(size));
    const S* const probabilities = &cache.probabilities(h, Blocks::triangle(first / block));
    S* const dscores = scratch.dscores.data();
    detail::product<S>({.rows = rows,
                        .width = padded<S>(last),
                        .depth = size,
                        .a = detail::rows_of(scratch.dmixed, first, h * size),
                        .b = detail::rows_of(scratch.transposed, 0, 0),
                        .c = dscores,
                        .c_stride = stride});
    for (Index r = 0; r < rows; ++r) {
      softmax_row_backward(probabilities + r * stride, padded<S>(last), scale,
                           dot(&cache.mixed(first + r, h * size), &scratch.dmixed(first + r, h * size), size),
                           dscores + r * stride);
    }
    detail::product<S>({.rows = rows,
                        .width = size,
                        .depth = last,
                        .a = {dscores, stride, 1},
                        .b = detail::rows_of(cache.qkv, 0, width + h * size),
                        .c = &scratch.dqkv(first, h * size),
                        .c_stride = 3 * width});
    detail::product<S>({.rows = last,
                        .width = size,
                        .depth = rows,
                        .a = {dscores, 1, stride},
                        .b = detail::rows_of(cache.qkv, first, h * size),
                        .c = &scratch.dqkv(0, width + h * size),
                        .c_stride = 3 * width,
                        .accumulate = true});
    detail::product<S>({.rows = last,
                        .width = size,
                        .depth = rows,
                        .a = {probabilities, 1, stride},
                        .b = detail::rows_of(scratch.dmixed, first, h * size),
                        .c = &scratch.dqkv(0, 2 * width + h * size),
                        .c_stride = 3 * width,
                        .accumulate = true});
  }
};

}  // namespace icrl
