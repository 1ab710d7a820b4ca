// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <tuple>

#include <icrl/compress/int8_cache.hpp>
#include <icrl/compress/int8_linear.hpp>
#include <icrl/math/exact_rotary.hpp>
#include <icrl/nn/block.hpp>

namespace icrl {

/// The layer norm of an integer model: y = gain * (x - mean) / stddev + bias in floats.
struct Int8Norm {
  RowVector<Eigen::half> gain, bias;  ///< (C), as files hold them

  /// Gain one, bias zero.
  explicit Int8Norm(Index width)
      : gain{RowVector<Eigen::half>::Constant(width, Eigen::half(1.0f))},
        bias{RowVector<Eigen::half>::Constant(width, Eigen::half(0.0f))} {
    pack("int8 norm");
  }
  /// Takes over a trained norm. Throws Error, which begins with `what`, for a number that half precision does not hold.
  Int8Norm(const LayerNorm<float>& from, std::string_view what)
      : gain{detail::to_half(from.gain, what)}, bias{detail::to_half(from.bias, what)} {
    pack(what);
  }

  [[nodiscard]] static std::int64_t weight_count(std::int64_t width) { return 2 * width; }

  /// Converts the tensors for use. Throws Error, which begins with `what`, for numbers that are not finite.
  void pack(std::string_view what) {
    numbers_.resize(2, gain.size());
    detail::from_half(gain, what, numbers_.data());
    detail::from_half(bias, what, numbers_.data() + gain.size());
  }

  /// One row of C numbers, x -> y, by the kernels of a CPU level.
  template <typename Kernels>
  void forward(Kernels kernels, const float* x, float* y) const {
    const Index width = numbers_.cols();
    kernels.normalize(x, numbers_.data(), numbers_.data() + width, width, LayerNorm<float>::epsilon, y);
  }

  static constexpr auto tensors() { return std::tuple{Field{"gain", &Int8Norm::gain}, Field{"bias", &Int8Norm::bias}}; }

private:
  Buffer<float> numbers_;  // (2, C)
};

/// Where the next token of one stream goes, and how many are there.
struct Int8Place {
  Int8Cache* cache;  ///< of the stream
  Index position;    ///< of the token, from 0
};

/// Memory of a pass over integer layers; all layers share it.
struct Int8Scratch {
  Buffer<float> rows;               ///< (lanes, widest row of floats that a map reads or writes)
  Buffer<std::uint8_t> codes;       ///< (lanes, widest row of codes)
  Buffer<float> scales;             ///< (1, lanes)
  Buffer<float> mixed;              ///< (lanes, widest row of heads)
  Buffer<float> scores;             ///< (1, whole blocks of tokens)
  Buffer<std::uint8_t> weights;     ///< (1, 2 * whole blocks of tokens)
  Buffer<std::uint8_t> head_codes;  ///< (lanes, 3 H whole words of a head), of queries, keys and values
  Buffer<float> head_scales;        ///< (lanes, 3 H)

  /// For `lanes` lanes of layers whose rows have up to `widest` numbers. Allocates only if it needs more than before.
  void reserve(Index lanes, Index widest, Index tokens, Index heads, Index head_size) {
    const auto at_least = [](auto& buffer, Index count_rows, Index columns) {
      if (buffer.rows() >= count_rows && buffer.cols() == columns) return;
      buffer.resize(count_rows, columns);
      std::fill_n(buffer.data(), count_rows * columns, typename std::remove_cvref_t<decltype(buffer)>::Scalar{0});
    };
    at_least(rows, lanes, detail::whole_blocks(widest));
    at_least(codes, lanes, padded<std::uint8_t>(widest));
    at_least(scales, 1, std::max(lanes, scales.cols()));
    at_least(mixed, lanes, detail::whole_blocks(widest));
    at_least(scores, 1, detail::whole_blocks(tokens));
    at_least(weights, 1, 2 * detail::whole_blocks(tokens));
    at_least(head_codes, lanes, 3 * heads * detail::whole_words(head_size));
    at_least(head_scales, lanes, 3 * heads);
  }

  /// Quantizes `count` rows of floats and returns them as a map's inputs.
  template <typename Kernels>
  [[nodiscard]] detail::Int8Rows quantize(Kernels kernels, const float* from, Index stride, Index count, Index size) {
    for (Index r = 0; r < count; ++r) scales(0, r) = kernels.quantize(from + r * stride, size, 128, &codes(r, 0));
    return {codes.data(), codes.cols(), scales.data(), count};
  }
};

/// `Block` in integers: all maps on int8, attention over an int8 cache, norms and GELU in floats. It acts only.
struct Int8Block {
  Int8Norm attention_norm;      ///< of the attention's input
  Int8Linear qkv;               ///< (C, 3 H D)
  Int8Linear output;            ///< (H D, C)
  Int8Norm feed_forward_norm;   ///< of the feed-forward layer's input
  Int8Linear up, down;          ///< (C, hidden), (hidden, C)
  Index head_count, head_size;  ///< H, D; not tensors

  /// All weights zero, all norms one. `bits` and `group` as in Int8Linear.
  Int8Block(const BlockShape& shape, int bits, int group)
      : attention_norm{shape.width},
        qkv{shape.width, 3 * shape.heads * shape.head_size, bits, group},
        output{shape.heads * shape.head_size, shape.width, bits, group},
        feed_forward_norm{shape.width},
        up{shape.width, shape.hidden, bits, group},
        down{shape.hidden, shape.width, bits, group},
        head_count{shape.heads},
        head_size{shape.head_size} {}

  /// Numbers in the tensors of such a block.
  [[nodiscard]] static std::int64_t weight_count(const BlockShape& shape, int bits, int group) {
    const std::int64_t inner = shape.heads * shape.head_size;
    return 2 * Int8Norm::weight_count(shape.width) + Int8Linear::weight_count(shape.width, 3 * inner, bits, group) +
           Int8Linear::weight_count(inner, shape.width, bits, group) +
           Int8Linear::weight_count(shape.width, shape.hidden, bits, group) +
           Int8Linear::weight_count(shape.hidden, shape.width, bits, group);
  }

  /// See Int8Linear::pack.
  void pack(const std::string& what) {
    attention_norm.pack(what + ".attention_norm");
    qkv.pack(what + ".attention.qkv");
    output.pack(what + ".attention.output");
    feed_forward_norm.pack(what + ".mlp_norm");
    up.pack(what + ".mlp.up");
    down.pack(what + ".mlp.down");
  }

  /// The most numbers of a row.
  [[nodiscard]] Index widest() const { return std::max({qkv.in, qkv.out, up.out}); }

  /// One token of every stream, in place: x (streams, C). As Block::step: attention and feed-forward run only for the
  /// streams in `wanted`, whose results are the top rows. `layer` is the number of this block.
  template <typename Kernels>
  void step(Kernels kernels, const ExactRotary& rotary, Index layer, std::span<const Int8Place> places,
            std::span<const Index> wanted, Int8Scratch& scratch, MatrixOut<float> x) const {
    const Index inner = head_count * head_size;
    apply(kernels, attention_norm, qkv, x, x.rows(), scratch);
    for (std::size_t i = 0; i < places.size(); ++i) {
      float* const row = &scratch.rows(static_cast<Index>(i), 0);
      if (!rotary.empty()) rotary.rotate(row, 2 * inner, places[i].position);
      append(kernels, row, layer, static_cast<Index>(i), places[i], scratch);
    }
    const auto count = static_cast<Index>(wanted.size());
    for (Index i = 0; i < count; ++i) {
      const Index from = wanted[static_cast<std::size_t>(i)];
      attend(kernels, layer, from, places[static_cast<std::size_t>(from)], scratch, &scratch.mixed(i, 0));
      if (from != i) std::copy_n(row_data(x, from), x.cols(), row_data(x, i));
    }
    const auto mixed = scratch.quantize(kernels, scratch.mixed.data(), scratch.mixed.cols(), count, inner);
    kernels.multiply(output.view(), mixed, /*add*/ true, x.data(), x.outerStride());

    apply(kernels, feed_forward_norm, up, x, count, scratch);
    for (Index i = 0; i < count; ++i) kernels.gelu(&scratch.rows(i, 0), up.out);
    const auto hidden = scratch.quantize(kernels, scratch.rows.data(), scratch.rows.cols(), count, up.out);
    kernels.multiply(down.view(), hidden, /*add*/ true, x.data(), x.outerStride());
  }

  /// Lists the names that files of `Block` have.
  static constexpr auto tensors() {
    using B = Int8Block;
    return std::tuple{Field{"attention_norm", &B::attention_norm},
                      Field{"attention.qkv", &B::qkv},
                      Field{"attention.output", &B::output},
                      Field{"mlp_norm", &B::feed_forward_norm},
                      Field{"mlp.up", &B::up},
                      Field{"mlp.down", &B::down}};
  }

private:
  /// scratch.rows = map(norm(x)) for the first `count` rows of x.
  template <typename Kernels>
  static void apply(Kernels kernels, const Int8Norm& norm, const Int8Linear& map, MatrixIn<float> x, Index count,
                    Int8Scratch& scratch) {
    for (Index r = 0; r < count; ++r) norm.forward(kernels, row_data(x, r), &scratch.rows(r, 0));
    const auto codes = scratch.quantize(kernels, scratch.rows.data(), scratch.rows.cols(), count, map.in);
    kernels.multiply(map.view(), codes, /*add*/ false, scratch.rows.data(), scratch.rows.cols());
  }

  /// Quantizes the queries, keys and values of lane `lane` at `row`, and writes keys and values to its cache.
  template <typename Kernels>
  void append(Kernels kernels, const float* row, Index layer, Index lane, const Int8Place& place,
              Int8Scratch& scratch) const {
    const Index words = detail::whole_words(head_size);
    std::uint8_t* const codes = &scratch.head_codes(lane, 0);
    float* const scales = &scratch.head_scales(lane, 0);
    kernels.quantize_heads(row, 3 * head_count, head_size, codes, scales);
    const auto* const keys = reinterpret_cast<const std::int8_t*>(codes) + head_count * words;
    for (Index h = 0; h < head_count; ++h) {
      Int8Cache::put(kernels, place.cache->head(layer, h), place.position, keys + h * words, scales[head_count + h],
                     keys + (head_count + h) * words, scales[2 * head_count + h]);
    }
  }

  /// mixed (H D) = the attention of lane `lane`.
  template <typename Kernels>
  void attend(Kernels kernels, Index layer, Index lane, const Int8Place& place, Int8Scratch& scratch,
              float* mixed) const {
    // Scores are exponents of 2.
    const auto unit = static_cast<float>(1.4426950408889634 / std::sqrt(static_cast<double>(head_size)));
    const auto* const queries = reinterpret_cast<const std::int8_t*>(&scratch.head_codes(lane, 0));
    for (Index h = 0; h < head_count; ++h) {
      kernels.attend(place.cache->head(layer, h), queries + h * detail::whole_words(head_size),
                     scratch.head_scales(lane, h) * unit, place.position + 1,
                     {scratch.scores.data(), scratch.weights.data()}, mixed + h * head_size);
    }
  }
};

}  // namespace icrl
