// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/math/int8_scalar.hpp>
#include <icrl/math/x86_intrinsics.hpp>

#if defined(__x86_64__)

#define ICRL_VNNI [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]]

namespace icrl::detail {

/// ScalarInt8 in AVX-512 with VNNI, bit by bit.
struct Avx512Int8 {
  ICRL_VNNI static float quantize(const float* x, Index size, std::uint8_t flip, std::uint8_t* codes) {
    __m512i most = _mm512_setzero_si512();
    for (Index i = 0; i < size; i += 16)
      most = _mm512_max_epu32(
          most, _mm512_and_si512(_mm512_castps_si512(load(x + i, size - i)), _mm512_set1_epi32(0x7fffffff)));
    const CodeScale by{_mm512_reduce_max_epu32(most)};
    const __m512 inverse = _mm512_set1_ps(by.inverse);
    const __m128i flips = _mm_set1_epi8(static_cast<char>(flip));
    for (Index i = 0; i < size; i += 16) {
      // Zero times what is not finite is no code.
      const __m512 scaled = by.inverse == 0 ? _mm512_setzero_ps() : times(load(x + i, size - i), inverse);
      const __m128i code = _mm_xor_si128(_mm512_cvtepi32_epi8(_mm512_cvtps_epi32(scaled)), flips);
      _mm_mask_storeu_epi8(codes + i, lanes_below(size - i), code);
    }
    return by.scale;
  }

  ICRL_VNNI static void normalize(const float* x, const float* gain, const float* bias, Index size, float epsilon,
                                  float* y) {
    __m512 sums = _mm512_setzero_ps(), squares = _mm512_setzero_ps();
    for (Index i = 0; i < size; i += 16) sums = _mm512_add_ps(sums, load(x + i, size - i));
    const __m512 mean = _mm512_set1_ps(fold(sums) / static_cast<float>(size));
    for (Index i = 0; i < size; i += 16) {
      const __m512 centered = _mm512_maskz_sub_ps(lanes_below(size - i), load(x + i, size - i), mean);
      squares = _mm512_add_ps(squares, times(centered, centered));
    }
    const __m512 inverse = _mm512_set1_ps(exact_inverse_stddev(fold(squares) / static_cast<float>(size), epsilon));
    for (Index i = 0; i < size; i += 16) {
      const __m512 hat = times(_mm512_sub_ps(load(x + i, size - i), mean), inverse);
      store(y + i, size - i, _mm512_add_ps(times(hat, load(gain + i, size - i)), load(bias + i, size - i)));
    }
  }

  ICRL_VNNI static void gelu(float* x, Index size) {
    const __m512 linear = _mm512_set1_ps(Gelu::linear), cubic = _mm512_set1_ps(Gelu::cubic);
    for (Index i = 0; i < size; i += 16) {
      const __m512 v = load(x + i, size - i);
      const __m512 e = exp2(times(v, _mm512_add_ps(linear, times(cubic, times(v, v)))));
      store(x + i, size - i, _mm512_div_ps(v, _mm512_add_ps(_mm512_set1_ps(1.0f), e)));
    }
  }

  ICRL_VNNI static void add_codes(const std::int8_t* codes, Index size, float factor, float* out) {
    const __m512 by = _mm512_set1_ps(factor);
    for (Index i = 0; i < size; i += 16) {
      const __m128i code = _mm_maskz_loadu_epi8(lanes_below(size - i), codes + i);
      const __m512 product = times(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(code)), by);
      store(out + i, size - i, _mm512_add_ps(load(out + i, size - i), product));
    }
  }

  ICRL_VNNI static void multiply(const Int8MapView& map, const Int8Rows& x, bool add, float* y, Index stride) {
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
    const __m512 largest = _mm512_set1_ps(score(head, query, factor, count, scratch.scores));
    __m512 probabilities = _mm512_setzero_ps(), weights = probabilities, most = probabilities;
    for (Index t = 0; t < count; t += 16) {
      const __mmask16 kept = lanes_below(count - t);
      const __m512 p = _mm512_maskz_mov_ps(kept, exp2(_mm512_sub_ps(_mm512_loadu_ps(scratch.scores + t), largest)));
      const __m512 weight = _mm512_maskz_mov_ps(kept, times(p, _mm512_loadu_ps(head.value_scales + t)));
      probabilities = _mm512_add_ps(probabilities, p);
      weights = _mm512_add_ps(weights, weight);
      most = _mm512_max_ps(weight, most);  // NaN: the second one
      _mm512_storeu_ps(scratch.scores + t, weight);
    }
    const MixScale by{_mm512_reduce_max_ps(most), fold(weights), fold(probabilities)};
    const Index padded_count = whole_blocks(count);
    std::uint8_t *const low = scratch.weights, *const high = low + padded_count;
    const __m512 to_whole = _mm512_set1_ps(by.to_whole);
    for (Index t = 0; t < padded_count; t += 16) {
      const __m512i whole = _mm512_cvtps_epi32(times(_mm512_loadu_ps(scratch.scores + t), to_whole));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(low + t), _mm512_cvtepi32_epi8(whole));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(high + t), _mm512_cvtepi32_epi8(_mm512_srli_epi32(whole, 8)));
    }
    mix(head, low, high, whole_words(count) / 4, _mm512_set1_ps(by.from_whole), mixed);
  }

private:
  ICRL_VNNI [[gnu::always_inline]] static inline __mmask16 lanes_below(Index count) {
    return count >= 16 ? __mmask16{0xffff} : static_cast<__mmask16>((1u << count) - 1);
  }
  ICRL_VNNI [[gnu::always_inline]] static inline __m512 load(const float* from, Index count) {
    return _mm512_maskz_loadu_ps(lanes_below(count), from);
  }
  ICRL_VNNI [[gnu::always_inline]] static inline void store(float* to, Index count, __m512 value) {
    _mm512_mask_storeu_ps(to, lanes_below(count), value);
  }
  /// As exact_product.
  ICRL_VNNI [[gnu::always_inline]] static inline __m512 times(__m512 a, __m512 b) {
    __m512 product = _mm512_mul_ps(a, b);
    asm("" : "+v"(product));
    return product;
  }
  ICRL_VNNI [[gnu::always_inline]] static inline __m512 exp2(__m512 x) {
    x = _mm512_max_ps(_mm512_set1_ps(Exp2::min), x);  // NaN: the second one
    x = _mm512_min_ps(_mm512_set1_ps(Exp2::max), x);
    const __m512 shift = _mm512_set1_ps(rounding_shift), shifted = _mm512_add_ps(x, shift);
    const __m512 r = _mm512_sub_ps(x, _mm512_sub_ps(shifted, shift));
    __m512 p = _mm512_add_ps(times(_mm512_set1_ps(Exp2::c5), r), _mm512_set1_ps(Exp2::c4));
    p = _mm512_add_ps(times(p, r), _mm512_set1_ps(Exp2::c3));
    p = _mm512_add_ps(times(p, r), _mm512_set1_ps(Exp2::c2));
    p = _mm512_add_ps(times(p, r), _mm512_set1_ps(Exp2::c1));
    p = _mm512_add_ps(times(p, r), _mm512_set1_ps(1.0f));
    const __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), exponent));
  }
  /// As fold_lanes.
  ICRL_VNNI [[gnu::always_inline]] static inline float fold(__m512 lanes) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(lanes), _mm512_extractf32x8_ps(lanes, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  ICRL_VNNI [[gnu::always_inline]] static inline __m512i word_to_all(const void* from) {
    std::int32_t word;
    std::memcpy(&word, from, sizeof word);
    return _mm512_set1_epi32(word);
  }

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
        for (int i = 0; i < rows; ++i) sums[i][p] = _mm512_dpbusd_epi32(sums[i][p], factors[i], weights);
      }
    }
#pragma GCC unroll 8
    for (int p = 0; p < panels; ++p) {
      const Index o = (first + p) * 16;
      const __m512 scales = _mm512_loadu_ps(map.scales + o), bias = _mm512_loadu_ps(map.bias + o);
#pragma GCC unroll 4
      for (int i = 0; i < rows; ++i) {
        const __m512 by = _mm512_mul_ps(_mm512_set1_ps(x.scales[r + i]), scales);
        __m512 result = _mm512_add_ps(times(_mm512_cvtepi32_ps(sums[i][p]), by), bias);
        float* const to = y + (r + i) * stride + o;
        if (add) result = _mm512_add_ps(load(to, map.outputs - o), result);
        store(to, map.outputs - o, result);
      }
    }
  }

  /// Writes the scores of whole blocks, minus infinity beyond the last token, and returns the largest one.
  ICRL_VNNI static float score(const Int8Head& head, const std::int8_t* query, float factor, Index count,
                               float* scores) {
    const Index words = whole_words(head.size) / 4;
    __m512i offset = _mm512_setzero_si512();
    for (Index w = 0; w < words; ++w)
      offset = _mm512_dpbusd_epi32(offset, _mm512_set1_epi8(-128), word_to_all(query + 4 * w));
    const __m512i start = _mm512_sub_epi32(_mm512_setzero_si512(), offset);
    const __m512 by = _mm512_set1_ps(factor), lowest = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
    __m512 largest = lowest;
    const std::uint8_t* keys = head.keys;
    for (Index t = 0; t < count; t += 16, keys += 64 * words) {
      __m512i sums = start;
      for (Index w = 0; w < words; ++w)
        sums = _mm512_dpbusd_epi32(sums, _mm512_loadu_si512(keys + 64 * w), word_to_all(query + 4 * w));
      const __m512 scale = _mm512_mul_ps(_mm512_loadu_ps(head.key_scales + t), by);
      const __m512 scaled = _mm512_mask_mov_ps(lowest, lanes_below(count - t), times(_mm512_cvtepi32_ps(sums), scale));
      largest = _mm512_max_ps(scaled, largest);  // NaN: the second one
      _mm512_storeu_ps(scores + t, scaled);
    }
    return _mm512_reduce_max_ps(largest);
  }

  /// Values of `groups` times 4 tokens, weighted by 256 * high + low.
  ICRL_VNNI static void mix(const Int8Head& head, const std::uint8_t* low, const std::uint8_t* high, Index groups,
                            __m512 from_whole, float* mixed) {
    const Index stride = 4 * whole_blocks(head.size);
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
          lows[i] = _mm512_dpbusd_epi32(lows[i], word_to_all(low + 4 * (g + i)), value);
          highs[i] = _mm512_dpbusd_epi32(highs[i], word_to_all(high + 4 * (g + i)), value);
        }
      }
      for (; g < groups; ++g, values += stride) {
        const __m512i value = _mm512_loadu_si512(values);
        lows[0] = _mm512_dpbusd_epi32(lows[0], word_to_all(low + 4 * g), value);
        highs[0] = _mm512_dpbusd_epi32(highs[0], word_to_all(high + 4 * g), value);
      }
      const __m512i sum_low = _mm512_add_epi32(_mm512_add_epi32(lows[0], lows[1]), _mm512_add_epi32(lows[2], lows[3]));
      const __m512i sum_high =
          _mm512_add_epi32(_mm512_add_epi32(highs[0], highs[1]), _mm512_add_epi32(highs[2], highs[3]));
      const __m512i sum = _mm512_add_epi32(_mm512_slli_epi32(sum_high, 8), sum_low);
      store(mixed + c, head.size - c, _mm512_mul_ps(_mm512_cvtepi32_ps(sum), from_whole));
    }
  }
};

}  // namespace icrl::detail

#undef ICRL_VNNI

#endif
