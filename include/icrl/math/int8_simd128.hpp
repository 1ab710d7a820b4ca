// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include <icrl/math/int8_simd128_rows.hpp>

namespace icrl::detail {

/// ScalarInt8 in registers of 128 bits, with bit-identical results. Sixteen lanes are four registers. `Products` says
/// how codes are multiplied:
///   panels                       of 16 outputs, whose sums one row keeps in registers
///   Sum{}, Factor                of 4 outputs; a word of 4 codes in every lane
///   factor(word)
///   add(sum, codes, factor)      sum += what the 4 codes of each lane give with those of the factor; not both of two
///                                neighbors may be -128 in codes and factor
///   total(sum)
///   store_weights(a, b, to)      an attention's weights of 16 tokens, 0 .. 32767, in 32 bytes
///   WeightedSum{}, Weights, weights(from, group), add_weighted(sum, codes, weights), total(sum)
///                                the same for values and the weights of 4 of these tokens
template <typename Products>
struct Simd128Int8 : Simd128Rows {
  static void multiply(const Int8MapView& map, const Int8Rows& x, bool add, float* y, Index stride) {
    if (map.is_sparse()) return multiply_rows<true>(map, x, add, y, stride);
    multiply_rows<false>(map, x, add, y, stride);
  }

  static void attend(const Int8Head& head, const std::int8_t* query, float factor, Index count,
                     const Int8AttentionScratch& scratch, float* mixed) {
    const Float32x4 largest = to_all(score(head, query, factor, count, scratch.scores));
    Float32x4 probabilities[4] = {}, weights[4] = {}, most{};
    const Index padded_count = whole_blocks(count);
    for (Index t = 0; t < padded_count; t += 16)
#pragma GCC unroll 4
      for (Index k = 0; k < 4; ++k) {
        const Index first = t + 4 * k;
        const Float32x4 p = first_of(exp2(load_bits<Float32x4>(scratch.scores + first) - largest), count - first);
        const Float32x4 weight = first_of(times(p, load_bits<Float32x4>(head.value_scales + first)), count - first);
        probabilities[k] += p;
        weights[k] += weight;
        most = weight > most ? weight : most;  // NaN: the second one
        std::memcpy(scratch.scores + first, &weight, sizeof weight);
      }
    const MixScale by{largest_of(most), fold(weights), fold(probabilities)};
    const Float32x4 to_whole = to_all(by.to_whole);
    for (Index t = 0; t < padded_count; t += 16) {
      UInt32x4 words[4];
#pragma GCC unroll 4
      for (Index k = 0; k < 4; ++k) words[k] = whole(times(load_bits<Float32x4>(scratch.scores + t + 4 * k), to_whole));
      Products::store_weights(low_halves(words[0], words[1]), low_halves(words[2], words[3]), scratch.weights + 2 * t);
    }
    mix(head, scratch.weights, whole_words(count) / 4, by.from_whole, mixed);
  }

private:
  template <bool is_sparse>
  static void multiply_rows(const Int8MapView& map, const Int8Rows& x, bool add, float* y, Index stride) {
    const Index panels = (map.outputs + 15) / 16;
    Index r = 0;
    for (; r + 2 <= x.count; r += 2)
      for (Index p = 0; p < panels; ++p) multiply_panels<2, 1, is_sparse>(map, x, r, p, add, y, stride);
    if (r == x.count) return;
    Index p = 0;
    if constexpr (!is_sparse)
      for (; p + Products::panels <= panels; p += Products::panels)
        multiply_panels<1, Products::panels, false>(map, x, r, p, add, y, stride);
    for (; p < panels; ++p) multiply_panels<1, 1, is_sparse>(map, x, r, p, add, y, stride);
  }

  /// `rows` rows from row r on, `panels` panels from panel `first` on; of a sparse map one.
  template <int rows, int panels, bool is_sparse>
  static void multiply_panels(const Int8MapView& map, const Int8Rows& x, Index r, Index first, bool add, float* y,
                              Index stride) {
    static_assert(!is_sparse || panels == 1);
    const Index panel_size = map.words * 64;
    const Int8Panel<is_sparse> panel{map, first};
    const std::uint8_t* const codes = x.codes + r * x.stride;
    typename Products::Sum sums[std::size_t{rows}][std::size_t{4 * panels}];
#pragma GCC unroll 16
    for (int q = 0; q < 4 * panels; ++q)
#pragma GCC unroll 2
      for (int i = 0; i < rows; ++i) sums[i][q] = typename Products::Sum{};
    for (Index w = 0; w < panel.count; ++w) {
      const std::uint8_t* const word = codes + 4 * panel.number(w);
      typename Products::Factor factors[std::size_t{rows}];
#pragma GCC unroll 2
      for (int i = 0; i < rows; ++i)
        factors[i] = Products::factor(load_bits<std::uint32_t>(word + i * x.stride) ^ 0x80808080u);
#pragma GCC unroll 16
      for (int q = 0; q < 4 * panels; ++q) {
        const auto weights = load_bits<UInt8x16>(panel.codes + q / 4 * panel_size + 64 * w + q % 4 * 16);
#pragma GCC unroll 2
        for (int i = 0; i < rows; ++i) Products::add(sums[i][q], weights, factors[i]);
      }
    }
#pragma GCC unroll 16
    for (int q = 0; q < 4 * panels; ++q) {
      const Index o = first * 16 + 4 * q;
      if (o >= map.outputs) continue;
      const auto scales = load_bits<Float32x4>(map.scales + o), bias = load_bits<Float32x4>(map.bias + o);
#pragma GCC unroll 2
      for (int i = 0; i < rows; ++i) {
        Float32x4 result = times(to_floats(Products::total(sums[i][q])), scales * x.scales[r + i]) + bias;
        float* const to = y + (r + i) * stride + o;
        if (add) result = load(to, map.outputs - o) + result;
        store(to, map.outputs - o, result);
      }
    }
  }

  /// Writes the scores of whole blocks, and returns the largest one of the first `count` tokens.
  static float score(const Int8Head& head, const std::int8_t* query, float factor, Index count, float* scores) {
    const Index words = whole_words(head.size) / 4;
    const Float32x4 lowest = to_all(-std::numeric_limits<float>::infinity());
    Float32x4 largest = lowest;
    const std::uint8_t* keys = head.keys;
    for (Index t = 0; t < count; t += 16, keys += 64 * words) {
      typename Products::Sum sums[4];
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) sums[k] = typename Products::Sum{};
      for (Index w = 0; w < words; ++w) {
        const auto by = Products::factor(load_bits<std::uint32_t>(query + 4 * w));
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k) Products::add(sums[k], load_bits<UInt8x16>(keys + 64 * w + 16 * k) ^ 0x80, by);
      }
#pragma GCC unroll 4
      for (Index k = 0; k < 4; ++k) {
        const Index first = t + 4 * k;
        const Float32x4 scale = load_bits<Float32x4>(head.key_scales + first) * factor;
        const Float32x4 scaled = times(to_floats(Products::total(sums[k])), scale);
        std::memcpy(scores + first, &scaled, sizeof scaled);
        const Float32x4 kept = lanes_below(count - first) ? scaled : lowest;
        largest = kept > largest ? kept : largest;  // NaN: the second one
      }
    }
    return largest_of(largest);
  }

  /// Values of `groups` times 4 tokens, weighted.
  static void mix(const Int8Head& head, const std::uint8_t* weights, Index groups, float from_whole, float* mixed) {
    const Index stride = 4 * whole_blocks(head.size);
    for (Index c = 0; c < head.size; c += 16) {
      const std::int8_t* values = head.values + 4 * c;
      typename Products::WeightedSum sums[4];
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) sums[k] = typename Products::WeightedSum{};
      for (Index g = 0; g < groups; ++g, values += stride) {
        const auto by = Products::weights(weights, g);
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k) Products::add_weighted(sums[k], load_bits<UInt8x16>(values + 16 * k), by);
      }
#pragma GCC unroll 4
      for (Index k = 0; k < 4; ++k) {
        const Index first = c + 4 * k;
        if (first < head.size)
          store(mixed + first, head.size - first, to_floats(Products::total(sums[k])) * from_whole);
      }
    }
  }
};

}  // namespace icrl::detail
