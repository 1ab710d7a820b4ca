// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/math/int8_avx512_rows.hpp>

#if defined(__x86_64__)

#define ICRL_VNNI [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]]

// Functions that are not inlined take and return no vectors: at the end of one that does, compilers leave the
// registers' upper halves dirty, which slows all code of the base target that follows.
namespace icrl::detail {

/// ScalarInt8 in AVX-512 with VNNI, with bit-identical results.
struct Avx512Int8 : Avx512Rows {
  /// Not inlined: within a long function g++ 12 at -O3 keeps the sums in memory, and takes twice as long.
  ICRL_VNNI [[gnu::noinline]] static void multiply(const Int8MapView& map, const Int8Rows& x, bool add, float* y,
                                                   Index stride) {
    if (map.is_sparse()) return multiply_sparse(map, x, add, y, stride);
    Index r = 0;
    for (; r + 4 <= x.count; r += 4) multiply_rows<4>(map, x, r, add, y, stride);
    if (r + 2 <= x.count) {
      multiply_rows<2>(map, x, r, add, y, stride);
      r += 2;
    }
    if (r < x.count) multiply_rows<1>(map, x, r, add, y, stride);
  }

  ICRL_VNNI static void attend(const Int8Head& head, const std::int8_t* query, float factor, Index count,
                               const Int8AttentionScratch& scratch, float* mixed) {
    const Index words = whole_words(head.size) / 4;
    const float largest = words == 4   ? score<4>(head, query, words, factor, count, scratch.scores)
                          : words == 8 ? score<8>(head, query, words, factor, count, scratch.scores)
                                       : score<0>(head, query, words, factor, count, scratch.scores);
    Weights sums{_mm512_set1_ps(largest), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
    Index t = 0;
    for (; t + 16 <= count; t += 16) weigh(scratch.scores + t, head.value_scales + t, __mmask16{0xffff}, sums);
    if (t < count) weigh(scratch.scores + t, head.value_scales + t, lanes_below(count - t), sums);
    const MixScale by{largest_of(sums.most), fold(sums.weights), fold(sums.probabilities)};
    const Index padded_count = whole_blocks(count);
    std::uint8_t *const low = scratch.weights, *const high = low + padded_count;
    const __m512 to_whole = _mm512_set1_ps(by.to_whole);
    for (t = 0; t < padded_count; t += 16) {
      const __m512i whole = _mm512_maskz_cvtps_epi32(every, times(_mm512_loadu_ps(scratch.scores + t), to_whole));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(low + t), _mm512_maskz_cvtepi32_epi8(every, whole));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(high + t),
                       _mm512_maskz_cvtepi32_epi8(every, _mm512_maskz_srli_epi32(every, whole, 8)));
    }
    mix(head, low, high, whole_words(count) / 4, by.from_whole, mixed);
  }

private:
  /// `rows` rows from row r on.
  template <int rows>
  ICRL_VNNI static void multiply_rows(const Int8MapView& map, const Int8Rows& x, Index r, bool add, float* y,
                                      Index stride) {
    const Index panels = (map.outputs + 15) / 16;
    Index p = 0;
    if constexpr (rows == 1)
      for (; p + 8 <= panels; p += 8) multiply_panels<rows, 8>(map, x, r, p, add, y, stride);
    for (; p + 4 <= panels; p += 4) multiply_panels<rows, 4>(map, x, r, p, add, y, stride);
    if (p + 2 <= panels) {
      multiply_panels<rows, 2>(map, x, r, p, add, y, stride);
      p += 2;
    }
    if (p < panels) multiply_panels<rows, 1>(map, x, r, p, add, y, stride);
  }

  template <int rows, int panels>
  ICRL_VNNI static void multiply_panels(const Int8MapView& map, const Int8Rows& x, Index r, Index first, bool add,
                                        float* y, Index stride) {
    const Index panel_size = map.words * 64;
    const std::int8_t* const from = map.panels + first * panel_size;
    const std::uint8_t* const codes = x.codes + r * x.stride;
    __m512i sums[std::size_t{rows}][std::size_t{panels}];
#pragma GCC unroll 8
    for (int p = 0; p < panels; ++p) {
      const __m512i offset = _mm512_loadu_si512(map.offsets + (first + p) * 16);
#pragma GCC unroll 4
      for (int i = 0; i < rows; ++i) sums[i][p] = _mm512_sub_epi32(_mm512_setzero_si512(), offset);
    }
    for (Index w = 0; w < map.words; ++w) {
      __m512i factors[std::size_t{rows}];
#pragma GCC unroll 4
      for (int i = 0; i < rows; ++i) factors[i] = word_to_all(codes + i * x.stride + 4 * w);
#pragma GCC unroll 8
      for (int p = 0; p < panels; ++p) {
        const __m512i weights = _mm512_loadu_si512(from + p * panel_size + 64 * w);
#pragma GCC unroll 4
        for (int i = 0; i < rows; ++i) add_products(sums[i][p], factors[i], weights);
      }
    }
#pragma GCC unroll 8
    for (int p = 0; p < panels; ++p) {
      const Index o = (first + p) * 16;
      const __m512 scales = _mm512_loadu_ps(map.scales + o), bias = _mm512_loadu_ps(map.bias + o);
#pragma GCC unroll 4
      for (int i = 0; i < rows; ++i)
        store_outputs(map, sums[i][p], scales, bias, x.scales[r + i], o, add, y + (r + i) * stride);
    }
  }

  ICRL_VNNI static void multiply_sparse(const Int8MapView& map, const Int8Rows& x, bool add, float* y, Index stride) {
    Index r = 0;
    for (; r + 4 <= x.count; r += 4) multiply_kept<4>(map, x, r, add, y, stride);
    if (r + 2 <= x.count) {
      multiply_kept<2>(map, x, r, add, y, stride);
      r += 2;
    }
    if (r < x.count) multiply_kept<1>(map, x, r, add, y, stride);
  }

  /// `rows` rows from row r on, of a sparse map. Each row has `parts` sums, for neighboring words, because a product
  /// takes longer to arrive than the next one to begin.
  template <int rows>
  ICRL_VNNI [[gnu::noinline]] static void multiply_kept(const Int8MapView& map, const Int8Rows& x, Index r, bool add,
                                                        float* y, Index stride) {
    constexpr int parts = rows == 1 ? 4 : 2, count = rows * parts;
    const std::uint8_t* const codes = x.codes + r * x.stride;
    for (Index p = 0; p < (map.outputs + 15) / 16; ++p) {
      const Int8Panel<true> panel{map, p};
      const __m512i offset = _mm512_loadu_si512(map.offsets + p * 16);
      __m512i sums[std::size_t{count}];
#pragma GCC unroll 8
      for (int k = 0; k < count; ++k)
        sums[k] = k < rows ? _mm512_sub_epi32(_mm512_setzero_si512(), offset) : _mm512_setzero_si512();
      Index w = 0;
      for (; w + parts <= panel.count; w += parts) {
#pragma GCC unroll 8
        for (int k = 0; k < count; ++k) {
          const Index word = w + k / rows;
          const std::uint8_t* const from = codes + 4 * panel.number(word) + k % rows * x.stride;
          add_products(sums[k], word_to_all(from), _mm512_loadu_si512(panel.codes + 64 * word));
        }
      }
      for (; w < panel.count; ++w) {
#pragma GCC unroll 4
        for (int i = 0; i < rows; ++i) {
          const std::uint8_t* const from = codes + 4 * panel.number(w) + i * x.stride;
          add_products(sums[i], word_to_all(from), _mm512_loadu_si512(panel.codes + 64 * w));
        }
      }
#pragma GCC unroll 8
      for (int k = rows; k < count; ++k) sums[k % rows] = _mm512_add_epi32(sums[k % rows], sums[k]);
      const __m512 scales = _mm512_loadu_ps(map.scales + p * 16), bias = _mm512_loadu_ps(map.bias + p * 16);
#pragma GCC unroll 4
      for (int i = 0; i < rows; ++i)
        store_outputs(map, sums[i], scales, bias, x.scales[r + i], p * 16, add, y + (r + i) * stride);
    }
  }

  /// Outputs o .. o + 15 of one row.
  ICRL_VNNI [[gnu::always_inline]] static inline void store_outputs(const Int8MapView& map, __m512i sums, __m512 scales,
                                                                    __m512 bias, float x_scale, Index o, bool add,
                                                                    float* row) {
    const __m512 by = _mm512_mul_ps(_mm512_set1_ps(x_scale), scales);
    __m512 result = _mm512_add_ps(times(_mm512_maskz_cvtepi32_ps(every, sums), by), bias);
    if (add) result = _mm512_add_ps(load(row + o, map.outputs - o), result);
    store(row + o, map.outputs - o, result);
  }

  /// What is summed over an attention's tokens.
  struct Weights {
    __m512 largest, probabilities, weights, most;
  };

  /// Turns the scores of a block into weights; tokens that are not `kept` get weight 0.
  ICRL_VNNI [[gnu::always_inline]] static inline void weigh(float* scores, const float* value_scales, __mmask16 kept,
                                                            Weights& sums) {
    const __m512 p = _mm512_maskz_mov_ps(kept, exp2<false>(_mm512_sub_ps(_mm512_loadu_ps(scores), sums.largest)));
    const __m512 weight = _mm512_maskz_mov_ps(kept, times(p, _mm512_loadu_ps(value_scales)));
    sums.probabilities = _mm512_add_ps(sums.probabilities, p);
    sums.weights = _mm512_add_ps(sums.weights, weight);
    sums.most = _mm512_maskz_max_ps(every, weight, sums.most);  // NaN: the second one
    _mm512_storeu_ps(scores, weight);
  }

  /// Writes the scores of whole blocks, and returns the largest one of the first `count` tokens. `fixed` is the number
  /// of words where it is known, or 0.
  template <int fixed>
  ICRL_VNNI static float score(const Int8Head& head, const std::int8_t* query, Index runtime_words, float factor,
                               Index count, float* scores) {
    const Index words = fixed > 0 ? fixed : runtime_words;
    __m512i queries[fixed > 0 ? std::size_t{fixed} : 1];
    __m512i start = _mm512_setzero_si512();
    for (Index w = 0; w < words; ++w) add_products(start, _mm512_set1_epi8(-128), word_to_all(query + 4 * w));
    start = _mm512_sub_epi32(_mm512_setzero_si512(), start);
#pragma GCC unroll 8
    for (int w = 0; w < fixed; ++w) queries[w] = word_to_all(query + 4 * w);
    const __m512 by = _mm512_set1_ps(factor);
    __m512 largest = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
    const std::uint8_t* keys = head.keys;
    for (Index t = 0; t < count; t += 16, keys += 64 * words) {
      __m512i sums = start;
      if constexpr (fixed > 0) {
#pragma GCC unroll 8
        for (int w = 0; w < fixed; ++w) add_products(sums, _mm512_loadu_si512(keys + 64 * w), queries[w]);
      } else {
        for (Index w = 0; w < words; ++w)
          add_products(sums, _mm512_loadu_si512(keys + 64 * w), word_to_all(query + 4 * w));
      }
      const __m512 scale = _mm512_mul_ps(_mm512_loadu_ps(head.key_scales + t), by);
      const __m512 scaled = times(_mm512_maskz_cvtepi32_ps(every, sums), scale);
      _mm512_storeu_ps(scores + t, scaled);
      // NaN: the second one.
      largest = t + 16 <= count ? _mm512_maskz_max_ps(every, scaled, largest)
                                : _mm512_mask_max_ps(largest, lanes_below(count - t), scaled, largest);
    }
    return largest_of(largest);
  }

  /// Values of `groups` times 4 tokens, weighted by 256 * high + low.
  ICRL_VNNI static void mix(const Int8Head& head, const std::uint8_t* low, const std::uint8_t* high, Index groups,
                            float from_whole, float* mixed) {
    const Index stride = 4 * whole_blocks(head.size);
    const __m512 by = _mm512_set1_ps(from_whole);
    for (Index c = 0; c < head.size; c += 16) {
      const std::int8_t* values = head.values + 4 * c;
      __m512i lows[4], highs[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) lows[i] = highs[i] = _mm512_setzero_si512();
      Index g = 0;
      for (; g + 4 <= groups; g += 4, values += 4 * stride) {
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          const __m512i value = _mm512_loadu_si512(values + i * stride);
          add_products(lows[i], word_to_all(low + 4 * (g + i)), value);
          add_products(highs[i], word_to_all(high + 4 * (g + i)), value);
        }
      }
      for (; g < groups; ++g, values += stride) {
        const __m512i value = _mm512_loadu_si512(values);
        add_products(lows[0], word_to_all(low + 4 * g), value);
        add_products(highs[0], word_to_all(high + 4 * g), value);
      }
      const __m512i sum_low = _mm512_add_epi32(_mm512_add_epi32(lows[0], lows[1]), _mm512_add_epi32(lows[2], lows[3]));
      const __m512i sum_high =
          _mm512_add_epi32(_mm512_add_epi32(highs[0], highs[1]), _mm512_add_epi32(highs[2], highs[3]));
      const __m512i sum = _mm512_add_epi32(_mm512_maskz_slli_epi32(every, sum_high, 8), sum_low);
      store(mixed + c, head.size - c, _mm512_mul_ps(_mm512_maskz_cvtepi32_ps(every, sum), by));
    }
  }
};

}  // namespace icrl::detail

#undef ICRL_VNNI

#endif
