// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include <icrl/math/exact_float.hpp>
#include <icrl/math/int8_layout.hpp>

namespace icrl::detail {

static_assert(std::endian::native == std::endian::little, "words of int8 are little-endian");

/// Sums of floats have 16 lanes, number i in lane i % 16, which are added in this order: upper half to lower half.
inline float fold_lanes(float* lanes) {
  for (Index half = int8_block / 2; half > 0; half /= 2)
    for (Index i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

/// 1 / the standard deviation; NaN for a variance that overflows, because zeros would hide the error.
inline float exact_inverse_stddev(float variance, float epsilon) {
  const float inverse = 1.0f / std::sqrt(variance + epsilon);
  return variance <= std::numeric_limits<float>::max() ? inverse : std::numeric_limits<float>::quiet_NaN();
}

/// The factor that turns a row into codes, and the value of code 1. `largest`: the bits of its largest magnitude, which
/// order NaN above infinity above all numbers.
struct CodeScale {
  float inverse, scale;

  explicit CodeScale(std::uint32_t largest) {
    const float magnitude = float_of(largest);
    const bool is_zero = largest < bits_of(int8_least), is_finite = largest < 0x7f800000u;
    inverse = is_zero || !is_finite ? 0.0f : 127.0f / magnitude;
    scale = is_zero ? 0.0f : is_finite ? magnitude / 127.0f : std::numeric_limits<float>::quiet_NaN();
  }
};

/// The factors that turn the weights of an attention into whole numbers, and its sums of values into the result. If the
/// sum of probabilities is NaN, the result is NaN.
struct MixScale {
  float to_whole, from_whole;

  MixScale(float largest_weight, float weights, float probabilities) {
    const float by_largest = int8_max_weight / largest_weight, by_sum = int8_weight_budget / weights;
    const bool is_zero = !(largest_weight >= int8_least);
    to_whole = is_zero ? 0.0f : by_sum < by_largest ? by_sum : by_largest;
    from_whole = is_zero ? 0.0f / probabilities : 1.0f / exact_product(to_whole, probabilities);
  }
};

/// The kernels of integer models for every CPU. The other levels must give bit-identical results. Kernels only access
/// the named arrays, which need no alignment.
struct ScalarInt8 {
  /// codes = x * 127 / max |x|, to the nearest, exclusive-or `flip`: 0 for codes, 128 for code + 128. Returns the value
  /// of code 1. A row that is not finite has codes of 0 and the scale NaN.
  static float quantize(const float* x, Index size, std::uint8_t flip, std::uint8_t* codes) {
    std::uint32_t largest = 0;
    for (Index i = 0; i < size; ++i) largest = std::max(largest, bits_of(x[i]) & 0x7fffffffu);
    const CodeScale by{largest};
    if (by.inverse == 0) {
      std::fill_n(codes, size, flip);
    } else {
      for (Index i = 0; i < size; ++i) {
        const std::int32_t code = exact_round(exact_product(x[i], by.inverse));
        codes[i] = static_cast<std::uint8_t>(static_cast<std::uint8_t>(code) ^ flip);
      }
    }
    return by.scale;
  }

  /// The same for `heads` runs of `size` numbers, each with its own scale: codes (heads, whole words).
  static void quantize_heads(const float* x, Index heads, Index size, std::uint8_t* codes, float* scales) {
    for (Index h = 0; h < heads; ++h) scales[h] = quantize(x + h * size, size, 0, codes + h * whole_words(size));
  }

  /// Writes a token's value to its place, 0 .. 3, in words of 4 tokens. The places after it become zero.
  static void put_value(const std::int8_t* codes, Index size, Index place, std::int8_t* words) {
    const auto shift = static_cast<unsigned>(8 * place);
    for (Index c = 0; c < size; ++c) {
      std::uint32_t word;
      std::memcpy(&word, words + 4 * c, sizeof word);
      word = (word & ((std::uint32_t{1} << shift) - 1)) | std::uint32_t{static_cast<std::uint8_t>(codes[c])} << shift;
      std::memcpy(words + 4 * c, &word, sizeof word);
    }
  }

  /// y = (x - mean) / stddev * gain + bias.
  static void normalize(const float* x, const float* gain, const float* bias, Index size, float epsilon, float* y) {
    float sums[int8_block] = {}, squares[int8_block] = {};
    for (Index i = 0; i < size; ++i) sums[i % int8_block] += x[i];
    const float mean = fold_lanes(sums) / static_cast<float>(size);
    for (Index i = 0; i < size; ++i) {
      const float centered = x[i] - mean;
      squares[i % int8_block] += exact_product(centered, centered);
    }
    const float inverse = exact_inverse_stddev(fold_lanes(squares) / static_cast<float>(size), epsilon);
    for (Index i = 0; i < size; ++i) y[i] = exact_product((x[i] - mean) * inverse, gain[i]) + bias[i];
  }

  static void gelu(float* x, Index size) {
    for (Index i = 0; i < size; ++i) x[i] = exact_gelu(x[i]);
  }

  /// out += factor * codes.
  static void add_codes(const std::int8_t* codes, Index size, float factor, float* out) {
    for (Index i = 0; i < size; ++i) out[i] += exact_product(static_cast<float>(codes[i]), factor);
  }

  /// y = x W + b, or y += x W + b. y: (rows, outputs) with `stride`.
  static void multiply(const Int8MapView& map, const Int8Rows& x, bool add, float* y, Index stride) {
    if (map.is_sparse()) return multiply<true>(map, x, add, y, stride);
    multiply<false>(map, x, add, y, stride);
  }
  template <bool is_sparse>
  static void multiply(const Int8MapView& map, const Int8Rows& x, bool add, float* y, Index stride) {
    for (Index r = 0; r < x.count; ++r) {
      const std::uint8_t* const codes = x.codes + r * x.stride;
      for (Index o = 0; o < map.outputs; ++o) {
        const Int8Panel<is_sparse> panel{map, o / int8_block};
        const std::int8_t* const weights = panel.codes + o % int8_block * 4;
        std::int32_t sum = 0;
        for (Index w = 0; w < panel.count; ++w)
          for (Index i = 0; i < 4; ++i) sum += (codes[4 * panel.number(w) + i] - 128) * weights[w * 4 * int8_block + i];
        const float result = exact_product(static_cast<float>(sum), x.scales[r] * map.scales[o]) + map.bias[o];
        float& to = y[r * stride + o];
        to = add ? to + result : result;
      }
    }
  }

  /// One token's attention over the first `count` tokens of a head: the values weighted by 2^(score * factor), where
  /// the score is that of integers, times the key's scale. `query` has whole words, zero beyond the head's size.
  static void attend(const Int8Head& head, const std::int8_t* query, float factor, Index count,
                     const Int8AttentionScratch& scratch, float* mixed) {
    const Index words = whole_words(head.size) / 4;
    float largest = -std::numeric_limits<float>::infinity();
    for (Index t = 0; t < count; ++t) {
      const std::uint8_t* const key = head.keys + t / int8_block * words * 4 * int8_block + t % int8_block * 4;
      std::int32_t score = 0;
      for (Index i = 0; i < 4 * words; ++i) score += (key[i / 4 * 4 * int8_block + i % 4] - 128) * query[i];
      scratch.scores[t] = hidden(static_cast<float>(score) * (head.key_scales[t] * factor));
      if (scratch.scores[t] > largest) largest = scratch.scores[t];
    }
    float probabilities[int8_block] = {}, weights[int8_block] = {}, largest_weight = 0;
    for (Index t = 0; t < count; ++t) {
      const float probability = exact_exp2(scratch.scores[t] - largest);
      const float weight = hidden(probability * head.value_scales[t]);
      probabilities[t % int8_block] += probability;
      weights[t % int8_block] += weight;
      if (weight > largest_weight) largest_weight = weight;
      scratch.scores[t] = weight;
    }
    const MixScale by{largest_weight, fold_lanes(weights), fold_lanes(probabilities)};
    for (Index t = 0; t < count; ++t) {
      const auto weight = static_cast<std::uint16_t>(exact_round(exact_product(scratch.scores[t], by.to_whole)));
      std::memcpy(scratch.weights + 2 * t, &weight, sizeof weight);
    }
    for (Index c = 0; c < head.size; ++c) {
      std::uint32_t sum = 0;  // unsigned: weights of NaN may wrap around
      for (Index t = 0; t < count; ++t) {
        std::uint16_t weight;
        std::memcpy(&weight, scratch.weights + 2 * t, sizeof weight);
        const std::int32_t value = head.values[t / 4 * 4 * whole_blocks(head.size) + 4 * c + t % 4];
        sum += static_cast<std::uint32_t>(value) * weight;
      }
      mixed[c] = static_cast<float>(static_cast<std::int32_t>(sum)) * by.from_whole;
    }
  }
};

}  // namespace icrl::detail
