// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/math/int8_scalar.hpp>
#include <icrl/math/x86_intrinsics.hpp>

#if defined(__x86_64__)

#define ICRL_VNNI [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]]

namespace icrl::detail {

/// The loops over rows of ScalarInt8 in AVX-512, with bit-identical results.
struct Avx512Rows {
  /// All lanes. Intrinsics without a mask leave a register undefined on purpose, about which g++ 12 warns when it links
  /// with -flto, where pragmas have no effect.
  static constexpr __mmask16 every = 0xffff;

  ICRL_VNNI [[gnu::always_inline]] static inline float largest_of(__m512 numbers) {
    const __m256 eight = _mm256_max_ps(_mm512_extractf32x8_ps(numbers, 1), _mm512_extractf32x8_ps(numbers, 0));
    const __m128 four = _mm_max_ps(_mm256_extractf128_ps(eight, 1), _mm256_extractf128_ps(eight, 0));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
  }
  ICRL_VNNI [[gnu::always_inline]] static inline std::uint32_t largest_of(__m512i numbers) {
    const __m256i eight =
        _mm256_max_epu32(_mm512_extracti32x8_epi32(numbers, 1), _mm512_extracti32x8_epi32(numbers, 0));
    const __m128i four = _mm_max_epu32(_mm256_extracti128_si256(eight, 1), _mm256_extracti128_si256(eight, 0));
    const __m128i two = _mm_max_epu32(four, _mm_unpackhi_epi64(four, four));
    return static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm_max_epu32(two, _mm_shuffle_epi32(two, 1))));
  }

  ICRL_VNNI static float quantize(const float* x, Index size, std::uint8_t flip, std::uint8_t* codes) {
    __m512i most = _mm512_setzero_si512();
    for (Index i = 0; i < size; i += 16)
      most = _mm512_maskz_max_epu32(
          every, most, _mm512_and_si512(_mm512_castps_si512(load(x + i, size - i)), _mm512_set1_epi32(0x7fffffff)));
    const CodeScale by{largest_of(most)};
    const __m512 inverse = _mm512_set1_ps(by.inverse);
    const __m128i flips = _mm_set1_epi8(static_cast<char>(flip));
    for (Index i = 0; i < size; i += 16) {
      // Zero times what is not finite is no code.
      const __m512 scaled = by.inverse == 0 ? _mm512_setzero_ps() : times(load(x + i, size - i), inverse);
      const __m128i code =
          _mm_xor_si128(_mm512_maskz_cvtepi32_epi8(every, _mm512_maskz_cvtps_epi32(every, scaled)), flips);
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
      const __m512 e = exp2<true>(times(v, _mm512_add_ps(linear, times(cubic, times(v, v)))));
      store(x + i, size - i, _mm512_div_ps(v, _mm512_add_ps(_mm512_set1_ps(1.0f), e)));
    }
  }

  ICRL_VNNI static void add_codes(const std::int8_t* codes, Index size, float factor, float* out) {
    const __m512 by = _mm512_set1_ps(factor);
    for (Index i = 0; i < size; i += 16) {
      const __m128i code = _mm_maskz_loadu_epi8(lanes_below(size - i), codes + i);
      const __m512 product = times(_mm512_maskz_cvtepi32_ps(every, _mm512_maskz_cvtepi8_epi32(every, code)), by);
      store(out + i, size - i, _mm512_add_ps(load(out + i, size - i), product));
    }
  }

  ICRL_VNNI static void quantize_heads(const float* x, Index heads, Index size, std::uint8_t* codes, float* scales) {
    const Index stride = whole_words(size);
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    for (Index first = 0; first < heads; first += 16) {
      const Index count = std::min<Index>(16, heads - first);
      alignas(64) std::uint32_t largest[16] = {};
      for (Index h = 0; h < count; ++h) {
        const float* const row = x + (first + h) * size;
        __m512i most = _mm512_and_si512(_mm512_castps_si512(load(row, size)), magnitude);
        for (Index i = 16; i < size; i += 16)
          most = _mm512_maskz_max_epu32(every, most,
                                        _mm512_and_si512(_mm512_castps_si512(load(row + i, size - i)), magnitude));
        largest[h] = largest_of(most);
      }
      // CodeScale, sixteen at a time.
      const __m512i bits = _mm512_load_si512(largest);
      const __m512 most = _mm512_castsi512_ps(bits), unit = _mm512_set1_ps(127.0f);
      const __mmask16 is_finite = _mm512_cmplt_epu32_mask(bits, _mm512_set1_epi32(0x7f800000));
      const __mmask16 is_code =
          _mm512_mask_cmpge_epu32_mask(is_finite, bits, _mm512_castps_si512(_mm512_set1_ps(int8_least)));
      alignas(64) float inverses[16];
      _mm512_store_ps(inverses, _mm512_maskz_div_ps(is_code, unit, most));
      const __m512 scale = _mm512_maskz_div_ps(is_code, most, unit);
      store(scales + first, count,
            _mm512_mask_mov_ps(_mm512_set1_ps(std::numeric_limits<float>::quiet_NaN()), is_finite, scale));
      for (Index h = 0; h < count; ++h) {
        const float* const row = x + (first + h) * size;
        std::uint8_t* const to = codes + (first + h) * stride;
        const __m512 inverse = _mm512_set1_ps(inverses[h]);
        const auto kept = static_cast<__mmask16>(is_code >> h & 1 ? 0xffff : 0);
        for (Index i = 0; i < size; i += 16) {
          const __m512i code = _mm512_maskz_cvtps_epi32(kept, times(load(row + i, size - i), inverse));
          _mm_mask_storeu_epi8(to + i, lanes_below(size - i), _mm512_maskz_cvtepi32_epi8(every, code));
        }
      }
    }
  }

  ICRL_VNNI static void put_value(const std::int8_t* codes, Index size, Index place, std::int8_t* words) {
    const auto shift = static_cast<unsigned>(8 * place);
    const __m512i before = _mm512_set1_epi32(static_cast<std::int32_t>((std::uint32_t{1} << shift) - 1));
    for (Index c = 0; c < size; c += 16) {
      const __mmask16 kept = lanes_below(size - c);
      const __m512i code = _mm512_maskz_cvtepu8_epi32(every, _mm_maskz_loadu_epi8(kept, codes + c));
      const __m512i old = _mm512_maskz_loadu_epi32(kept, words + 4 * c);
      const __m512i word = _mm512_or_si512(_mm512_and_si512(old, before), _mm512_maskz_slli_epi32(every, code, shift));
      _mm512_mask_storeu_epi32(words + 4 * c, kept, word);
    }
  }

protected:
  ICRL_VNNI [[gnu::always_inline]] static inline __mmask16 lanes_below(Index count) {
    return count >= 16 ? __mmask16{0xffff} : static_cast<__mmask16>((1u << count) - 1);
  }
  ICRL_VNNI [[gnu::always_inline]] static inline __m512 load(const float* from, Index count) {
    return _mm512_maskz_loadu_ps(lanes_below(count), from);
  }
  ICRL_VNNI [[gnu::always_inline]] static inline void store(float* to, Index count, __m512 value) {
    _mm512_mask_storeu_ps(to, lanes_below(count), value);
  }
  /// sums += the products of 4 codes each, the first ones unsigned. In assembly, because g++ 12 copies the sums from
  /// register to register around the intrinsic.
  ICRL_VNNI [[gnu::always_inline]] static inline void add_products(__m512i& sums, __m512i unsigned_codes,
                                                                   __m512i codes) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(unsigned_codes), "v"(codes));
  }
  /// As exact_product.
  ICRL_VNNI [[gnu::always_inline]] static inline __m512 times(__m512 a, __m512 b) {
    __m512 product = _mm512_mul_ps(a, b);
    asm("" : "+v"(product));
    return product;
  }
  /// As exact_exp2. Without `is_limited`, x must be at most 0.
  template <bool is_limited>
  ICRL_VNNI [[gnu::always_inline]] static inline __m512 exp2(__m512 x) {
    x = _mm512_maskz_max_ps(every, _mm512_set1_ps(Exp2::min), x);  // NaN: the second one
    if constexpr (is_limited) x = _mm512_maskz_min_ps(every, _mm512_set1_ps(Exp2::max), x);
    const __m512 shift = _mm512_set1_ps(rounding_shift), shifted = _mm512_add_ps(x, shift);
    const __m512 r = _mm512_sub_ps(x, _mm512_sub_ps(shifted, shift));
    __m512 p = _mm512_add_ps(times(_mm512_set1_ps(Exp2::c5), r), _mm512_set1_ps(Exp2::c4));
    p = _mm512_add_ps(times(p, r), _mm512_set1_ps(Exp2::c3));
    p = _mm512_add_ps(times(p, r), _mm512_set1_ps(Exp2::c2));
    p = _mm512_add_ps(times(p, r), _mm512_set1_ps(Exp2::c1));
    p = _mm512_add_ps(times(p, r), _mm512_set1_ps(1.0f));
    const __m512i exponent = _mm512_maskz_slli_epi32(every, _mm512_castps_si512(shifted), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), exponent));
  }
  /// As fold_lanes.
  ICRL_VNNI [[gnu::always_inline]] static inline float fold(__m512 lanes) {
    const __m256 eight = _mm256_add_ps(_mm512_extractf32x8_ps(lanes, 0), _mm512_extractf32x8_ps(lanes, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  ICRL_VNNI [[gnu::always_inline]] static inline __m512i word_to_all(const void* from) {
    std::int32_t word;
    std::memcpy(&word, from, sizeof word);
    return _mm512_set1_epi32(word);
  }
};

}  // namespace icrl::detail

#undef ICRL_VNNI

#endif
