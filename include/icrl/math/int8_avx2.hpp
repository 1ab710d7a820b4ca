// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/math/int8_scalar.hpp>
#include <icrl/math/x86_intrinsics.hpp>

#if defined(__x86_64__)

#define ICRL_AVX2 [[gnu::target("avx2")]]
#define ICRL_AVX2_INLINE [[gnu::target("avx2"), gnu::always_inline]] static inline

// Functions that are not inlined take and return no vectors: at the end of one that does, compilers leave the
// registers' upper halves dirty, which slows all code of the base target that follows.
namespace icrl::detail {

/// ScalarInt8 in AVX2, with bit-identical results. Sixteen lanes are two registers. The tail of a row, less than eight
/// numbers, goes through a small array.
struct Avx2Int8 {
  ICRL_AVX2 static float quantize(const float* x, Index size, std::uint8_t flip, std::uint8_t* codes) {
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    __m256i most = _mm256_setzero_si256();
    for (Index i = 0; i < size; i += 8)
      most = _mm256_max_epu32(most, _mm256_and_si256(_mm256_castps_si256(load(x + i, size - i)), magnitude));
    __m128i four = _mm_max_epu32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
    four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0x4e));
    four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0xb1));
    const CodeScale by{static_cast<std::uint32_t>(_mm_cvtsi128_si32(four))};
    const __m256 inverse = _mm256_set1_ps(by.inverse);
    const __m128i flips = _mm_set1_epi8(static_cast<char>(flip));
    for (Index i = 0; i < size; i += 8) {
      // Zero times what is not finite is no code.
      const __m256 scaled = by.inverse == 0 ? _mm256_setzero_ps() : times(load(x + i, size - i), inverse);
      const __m128i code = _mm_xor_si128(to_bytes(_mm256_cvtps_epi32(scaled)), flips);
      if (size - i >= 8) {
        _mm_storel_epi64(reinterpret_cast<__m128i*>(codes + i), code);
      } else {
        std::uint8_t last[16];
        _mm_storeu_si128(reinterpret_cast<__m128i*>(last), code);
        for (Index k = 0; k < size - i; ++k) codes[i + k] = last[k];
      }
    }
    return by.scale;
  }

  ICRL_AVX2 static void normalize(const float* x, const float* gain, const float* bias, Index size, float epsilon,
                                  float* y) {
    __m256 sums[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()}, squares[2] = {sums[0], sums[1]};
    for (Index i = 0; i < size; i += 8) sums[i / 8 % 2] = _mm256_add_ps(sums[i / 8 % 2], load(x + i, size - i));
    const __m256 mean = _mm256_set1_ps(fold(sums[0], sums[1]) / static_cast<float>(size));
    for (Index i = 0; i < size; i += 8) {
      const __m256 centered =
          _mm256_and_ps(_mm256_sub_ps(load(x + i, size - i), mean), _mm256_castsi256_ps(lanes_below(size - i)));
      squares[i / 8 % 2] = _mm256_add_ps(squares[i / 8 % 2], times(centered, centered));
    }
    const __m256 inverse =
        _mm256_set1_ps(exact_inverse_stddev(fold(squares[0], squares[1]) / static_cast<float>(size), epsilon));
    for (Index i = 0; i < size; i += 8) {
      const __m256 hat = times(_mm256_sub_ps(load(x + i, size - i), mean), inverse);
      store(y + i, size - i, _mm256_add_ps(times(hat, load(gain + i, size - i)), load(bias + i, size - i)));
    }
  }

  ICRL_AVX2 static void gelu(float* x, Index size) {
    const __m256 linear = _mm256_set1_ps(Gelu::linear), cubic = _mm256_set1_ps(Gelu::cubic);
    for (Index i = 0; i < size; i += 8) {
      const __m256 v = load(x + i, size - i);
      const __m256 e = exp2(times(v, _mm256_add_ps(linear, times(cubic, times(v, v)))));
      store(x + i, size - i, _mm256_div_ps(v, _mm256_add_ps(_mm256_set1_ps(1.0f), e)));
    }
  }

  ICRL_AVX2 static void add_codes(const std::int8_t* codes, Index size, float factor, float* out) {
    const __m256 by = _mm256_set1_ps(factor);
    for (Index i = 0; i < size; i += 8) {
      std::int8_t eight[8] = {};
      std::memcpy(eight, codes + i, static_cast<std::size_t>(std::min<Index>(8, size - i)));
      const __m128i code = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(eight));
      const __m256 product = times(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(code)), by);
      store(out + i, size - i, _mm256_add_ps(load(out + i, size - i), product));
    }
  }

  ICRL_AVX2 static void multiply(const Int8MapView& map, const Int8Rows& x, bool add, float* y, Index stride) {
    if (map.is_sparse()) return multiply_panels<true>(map, x, add, y, stride);
    multiply_panels<false>(map, x, add, y, stride);
  }

  ICRL_AVX2 static void quantize_heads(const float* x, Index heads, Index size, std::uint8_t* codes, float* scales) {
    for (Index h = 0; h < heads; ++h) scales[h] = quantize(x + h * size, size, 0, codes + h * whole_words(size));
  }

  static void put_value(const std::int8_t* codes, Index size, Index place, std::int8_t* words) {
    ScalarInt8::put_value(codes, size, place, words);
  }

  ICRL_AVX2 static void attend(const Int8Head& head, const std::int8_t* query, float factor, Index count,
                               const Int8AttentionScratch& scratch, float* mixed) {
    const __m256 largest = _mm256_set1_ps(score(head, query, factor, count, scratch.scores));
    __m256 probabilities[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()},
           weights[2] = {probabilities[0], probabilities[0]}, most = probabilities[0];
    const Index padded_count = whole_blocks(count);
    for (Index t = 0; t < padded_count; t += 16) {
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        const Index first = t + 8 * half;
        const __m256 kept = _mm256_castsi256_ps(lanes_below(count - first));
        const __m256 p = _mm256_and_ps(kept, exp2(_mm256_sub_ps(_mm256_loadu_ps(scratch.scores + first), largest)));
        const __m256 weight = _mm256_and_ps(kept, times(p, _mm256_loadu_ps(head.value_scales + first)));
        probabilities[half] = _mm256_add_ps(probabilities[half], p);
        weights[half] = _mm256_add_ps(weights[half], weight);
        most = _mm256_max_ps(weight, most);  // NaN: the second one
        _mm256_storeu_ps(scratch.scores + first, weight);
      }
    }
    const MixScale by{reduce_max(most), fold(weights[0], weights[1]), fold(probabilities[0], probabilities[1])};
    const __m256 to_whole = _mm256_set1_ps(by.to_whole);
    for (Index t = 0; t < padded_count; t += 16) {
      const __m256i a = _mm256_cvtps_epi32(times(_mm256_loadu_ps(scratch.scores + t), to_whole));
      const __m256i b = _mm256_cvtps_epi32(times(_mm256_loadu_ps(scratch.scores + t + 8), to_whole));
      const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(scratch.weights + 2 * t), words);
    }
    mix(head, scratch.weights, whole_words(count) / 4, by.from_whole, mixed);
  }

private:
  ICRL_AVX2_INLINE __m256i lanes_below(Index count) {
    const auto limit = static_cast<int>(std::clamp<Index>(count, 0, 8));
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(limit), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  ICRL_AVX2_INLINE __m256 load(const float* from, Index count) {
    return count >= 8 ? _mm256_loadu_ps(from) : _mm256_maskload_ps(from, lanes_below(count));
  }
  ICRL_AVX2_INLINE void store(float* to, Index count, __m256 value) {
    if (count >= 8) {
      _mm256_storeu_ps(to, value);
    } else {
      _mm256_maskstore_ps(to, lanes_below(count), value);
    }
  }
  /// As exact_product.
  ICRL_AVX2_INLINE __m256 times(__m256 a, __m256 b) {
    __m256 product = _mm256_mul_ps(a, b);
    asm("" : "+x"(product));
    return product;
  }
  ICRL_AVX2_INLINE __m256 exp2(__m256 x) {
    x = _mm256_max_ps(_mm256_set1_ps(Exp2::min), x);  // NaN: the second one
    x = _mm256_min_ps(_mm256_set1_ps(Exp2::max), x);
    const __m256 shift = _mm256_set1_ps(rounding_shift), shifted = _mm256_add_ps(x, shift);
    const __m256 r = _mm256_sub_ps(x, _mm256_sub_ps(shifted, shift));
    __m256 p = _mm256_add_ps(times(_mm256_set1_ps(Exp2::c5), r), _mm256_set1_ps(Exp2::c4));
    p = _mm256_add_ps(times(p, r), _mm256_set1_ps(Exp2::c3));
    p = _mm256_add_ps(times(p, r), _mm256_set1_ps(Exp2::c2));
    p = _mm256_add_ps(times(p, r), _mm256_set1_ps(Exp2::c1));
    p = _mm256_add_ps(times(p, r), _mm256_set1_ps(1.0f));
    const __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), exponent));
  }
  /// As fold_lanes.
  ICRL_AVX2_INLINE float fold(__m256 lower, __m256 upper) {
    const __m256 eight = _mm256_add_ps(lower, upper);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  ICRL_AVX2_INLINE float reduce_max(__m256 lanes) {
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }
  /// The low bytes of eight numbers in -127 .. 127.
  ICRL_AVX2_INLINE __m128i to_bytes(__m256i numbers) {
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(numbers), _mm256_extracti128_si256(numbers, 1));
    return _mm_packs_epi16(words, words);
  }
  ICRL_AVX2_INLINE __m256i word_to_all(const void* from) {
    std::int32_t word;
    std::memcpy(&word, from, sizeof word);
    return _mm256_set1_epi32(word);
  }
  /// sums + the products of 4 codes each. Neither factor has -128, except where the other one is zero or the result is
  /// not used, so that no sum of two products overflows 16 bits.
  ICRL_AVX2_INLINE __m256i add_products(__m256i sums, __m256i x, __m256i y) {
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(y, x));
    return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  ICRL_AVX2_INLINE __m256i load_codes(const void* from) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(from));
  }

  template <bool is_sparse>
  ICRL_AVX2 static void multiply_panels(const Int8MapView& map, const Int8Rows& x, bool add, float* y, Index stride) {
    const Index panels = (map.outputs + 15) / 16;
    for (Index p = 0; p < panels; ++p) {
      Index r = 0;
      for (; r + 2 <= x.count; r += 2) multiply_panel<2, is_sparse>(map, x, r, p, add, y, stride);
      if (r < x.count) multiply_panel<1, is_sparse>(map, x, r, p, add, y, stride);
    }
  }

  /// `rows` rows from row r on, one panel.
  template <int rows, bool is_sparse>
  ICRL_AVX2 static void multiply_panel(const Int8MapView& map, const Int8Rows& x, Index r, Index p, bool add, float* y,
                                       Index stride) {
    const Int8Panel<is_sparse> panel{map, p};
    const std::uint8_t* const codes = x.codes + r * x.stride;
    const __m256i flip = _mm256_set1_epi8(-128);
    __m256i sums[std::size_t{rows}][2];
#pragma GCC unroll 2
    for (int i = 0; i < rows; ++i) sums[i][0] = sums[i][1] = _mm256_setzero_si256();
    for (Index w = 0; w < panel.count; ++w) {
      const __m256i lower = load_codes(panel.codes + 64 * w), upper = load_codes(panel.codes + 64 * w + 32);
#pragma GCC unroll 2
      for (int i = 0; i < rows; ++i) {
        const __m256i factors = _mm256_xor_si256(word_to_all(codes + i * x.stride + 4 * panel.number(w)), flip);
        sums[i][0] = add_products(sums[i][0], factors, lower);
        sums[i][1] = add_products(sums[i][1], factors, upper);
      }
    }
    for (int i = 0; i < rows; ++i) {
      const __m256 x_scale = _mm256_set1_ps(x.scales[r + i]);
      for (int half = 0; half < 2; ++half) {
        const Index o = p * 16 + 8 * half;
        if (o >= map.outputs) break;
        const __m256 by = _mm256_mul_ps(x_scale, _mm256_loadu_ps(map.scales + o));
        __m256 result = _mm256_add_ps(times(_mm256_cvtepi32_ps(sums[i][half]), by), _mm256_loadu_ps(map.bias + o));
        float* const to = y + (r + i) * stride + o;
        if (add) result = _mm256_add_ps(load(to, map.outputs - o), result);
        store(to, map.outputs - o, result);
      }
    }
  }

  /// Writes the scores of whole blocks, minus infinity beyond the last token, and returns the largest one.
  ICRL_AVX2 static float score(const Int8Head& head, const std::int8_t* query, float factor, Index count,
                               float* scores) {
    const Index words = whole_words(head.size) / 4;
    const __m256i flip = _mm256_set1_epi8(-128);
    const __m256 by = _mm256_set1_ps(factor), lowest = _mm256_set1_ps(-std::numeric_limits<float>::infinity());
    __m256 largest = lowest;
    const std::uint8_t* keys = head.keys;
    for (Index t = 0; t < count; t += 16, keys += 64 * words) {
      __m256i sums[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
      for (Index w = 0; w < words; ++w) {
        const __m256i factors = word_to_all(query + 4 * w);
        sums[0] = add_products(sums[0], factors, _mm256_xor_si256(load_codes(keys + 64 * w), flip));
        sums[1] = add_products(sums[1], factors, _mm256_xor_si256(load_codes(keys + 64 * w + 32), flip));
      }
      for (int half = 0; half < 2; ++half) {
        const Index first = t + 8 * half;
        const __m256 scale = _mm256_mul_ps(_mm256_loadu_ps(head.key_scales + first), by);
        const __m256 scaled = _mm256_blendv_ps(lowest, times(_mm256_cvtepi32_ps(sums[half]), scale),
                                               _mm256_castsi256_ps(lanes_below(count - first)));
        largest = _mm256_max_ps(scaled, largest);  // NaN: the second one
        _mm256_storeu_ps(scores + first, scaled);
      }
    }
    return reduce_max(largest);
  }

  /// Values of `groups` times 4 tokens, weighted by words of 16 bits.
  ICRL_AVX2 static void mix(const Int8Head& head, const std::uint8_t* weights, Index groups, float from_whole,
                            float* mixed) {
    const Index stride = 4 * whole_blocks(head.size);
    const __m256 by = _mm256_set1_ps(from_whole);
    for (Index c = 0; c < head.size; c += 16) {
      const std::int8_t* values = head.values + 4 * c;
      __m256i sums[4];  // two halves of the sum for each of 4 columns
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) sums[i] = _mm256_setzero_si256();
      for (Index g = 0; g < groups; ++g, values += stride) {
        std::int64_t four;
        std::memcpy(&four, weights + 8 * g, sizeof four);
        const __m256i weight = _mm256_set1_epi64x(four);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          const __m256i value =
              _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values + 16 * i)));
          sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(value, weight));
        }
      }
      for (int half = 0; half < 2; ++half) {
        const Index first = c + 8 * half;
        if (first >= head.size) break;
        const __m256i sum = _mm256_permute4x64_epi64(_mm256_hadd_epi32(sums[2 * half], sums[2 * half + 1]), 0xd8);
        store(mixed + first, head.size - first, _mm256_mul_ps(_mm256_cvtepi32_ps(sum), by));
      }
    }
  }
};

}  // namespace icrl::detail

#undef ICRL_AVX2
#undef ICRL_AVX2_INLINE

#endif
