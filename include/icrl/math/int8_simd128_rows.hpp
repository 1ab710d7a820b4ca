// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <icrl/math/int8_scalar.hpp>

namespace icrl::detail {

// The compiler's own vectors of 128 bits.
using Float32x4 = float __attribute__((vector_size(16)));
using Int32x4 = std::int32_t __attribute__((vector_size(16)));
using UInt32x4 = std::uint32_t __attribute__((vector_size(16)));
using UInt16x8 = std::uint16_t __attribute__((vector_size(16)));
using UInt8x16 = std::uint8_t __attribute__((vector_size(16)));

/// The same bits as another type.
template <typename To, typename From>
inline To bits_as(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}
/// Loads from an address that need not be aligned.
template <typename To>
inline To load_bits(const void* from) {
  To to;
  std::memcpy(&to, from, sizeof to);
  return to;
}

/// The low half of every lane, those of `a` first; the low and the high byte of every lane.
inline UInt16x8 low_halves(const UInt32x4& a, const UInt32x4& b) {
  return __builtin_shufflevector(bits_as<UInt16x8>(a), bits_as<UInt16x8>(b), 0, 2, 4, 6, 8, 10, 12, 14);
}
inline UInt8x16 low_bytes(const UInt16x8& a, const UInt16x8& b) {
  return __builtin_shufflevector(bits_as<UInt8x16>(a), bits_as<UInt8x16>(b), 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22,
                                 24, 26, 28, 30);
}
inline UInt8x16 high_bytes(const UInt16x8& a, const UInt16x8& b) {
  return __builtin_shufflevector(bits_as<UInt8x16>(a), bits_as<UInt8x16>(b), 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23,
                                 25, 27, 29, 31);
}
/// Codes 4 k .. 4 k + 3.
template <int k>
inline Int32x4 four_codes(const UInt8x16& codes) {
  // In the highest bytes, from where the shift keeps their signs.
  return bits_as<Int32x4>(__builtin_shufflevector(UInt8x16{}, codes, 0, 0, 0, 16 + 4 * k, 0, 0, 0, 17 + 4 * k, 0, 0, 0,
                                                  18 + 4 * k, 0, 0, 0, 19 + 4 * k)) >>
         24;
}

/// Those loops of ScalarInt8 that multiply no integers, in registers of 128 bits, with bit-identical results. One
/// source serves aarch64 and WebAssembly. Sixteen lanes are four registers.
struct Simd128Rows {
  static float quantize(const float* x, Index size, std::uint8_t flip, std::uint8_t* codes) {
    UInt32x4 most{};
    for (Index i = 0; i < size; i += 4) {
      const UInt32x4 magnitude = bits_as<UInt32x4>(load(x + i, size - i)) & 0x7fffffffu;
      most = magnitude > most ? magnitude : most;
    }
    const CodeScale by{std::max(std::max(most[0], most[1]), std::max(most[2], most[3]))};
    if (by.inverse == 0) {  // zero times what is not finite is no code
      std::fill_n(codes, size, flip);
      return by.scale;
    }
    const Float32x4 inverse = to_all(by.inverse);
    for (Index i = 0; i < size; i += 16) {
      UInt32x4 words[4] = {};
#pragma GCC unroll 4
      for (Index k = 0; k < 4; ++k)
        if (i + 4 * k < size) words[k] = whole(times(load(x + i + 4 * k, size - i - 4 * k), inverse));
      const UInt8x16 code = low_bytes(low_halves(words[0], words[1]), low_halves(words[2], words[3])) ^ flip;
      std::memcpy(codes + i, &code, static_cast<std::size_t>(std::min<Index>(16, size - i)));
    }
    return by.scale;
  }

  static void quantize_heads(const float* x, Index heads, Index size, std::uint8_t* codes, float* scales) {
    for (Index h = 0; h < heads; ++h) scales[h] = quantize(x + h * size, size, 0, codes + h * whole_words(size));
  }

  static void put_value(const std::int8_t* codes, Index size, Index place, std::int8_t* words) {
    ScalarInt8::put_value(codes, size, place, words);
  }

  static void normalize(const float* x, const float* gain, const float* bias, Index size, float epsilon, float* y) {
    Float32x4 sums[4] = {}, squares[4] = {};
    for (Index i = 0; i < size; i += 16)
#pragma GCC unroll 4
      for (Index k = 0; k < 4; ++k)
        if (i + 4 * k < size) sums[k] += load(x + i + 4 * k, size - i - 4 * k);
    const Float32x4 mean = to_all(fold(sums) / static_cast<float>(size));
    for (Index i = 0; i < size; i += 16)
#pragma GCC unroll 4
      for (Index k = 0; k < 4; ++k) {
        if (i + 4 * k >= size) continue;
        const Index count = size - i - 4 * k;
        const Float32x4 centered = first_of(load(x + i + 4 * k, count) - mean, count);
        squares[k] += times(centered, centered);
      }
    const Float32x4 inverse = to_all(exact_inverse_stddev(fold(squares) / static_cast<float>(size), epsilon));
    for (Index i = 0; i < size; i += 4) {
      const Float32x4 hat = (load(x + i, size - i) - mean) * inverse;
      store(y + i, size - i, times(hat, load(gain + i, size - i)) + load(bias + i, size - i));
    }
  }

  static void gelu(float* x, Index size) {
    const Float32x4 linear = to_all(Gelu::linear), cubic = to_all(Gelu::cubic);
    for (Index i = 0; i < size; i += 4) {
      const Float32x4 v = load(x + i, size - i);
      const Float32x4 e = exp2(times(v, linear + times(cubic, v * v)));
      store(x + i, size - i, v / (e + 1.0f));
    }
  }

  static void add_codes(const std::int8_t* codes, Index size, float factor, float* out) {
    for (Index i = 0; i < size; i += 16) {
      UInt8x16 code{};
      std::memcpy(&code, codes + i, static_cast<std::size_t>(std::min<Index>(16, size - i)));
      const Int32x4 words[4] = {four_codes<0>(code), four_codes<1>(code), four_codes<2>(code), four_codes<3>(code)};
#pragma GCC unroll 4
      for (Index k = 0; k < 4; ++k) {
        const Index first = i + 4 * k;
        if (first >= size) break;
        const Float32x4 product = times(to_floats(words[k]), to_all(factor));
        store(out + first, size - first, load(out + first, size - first) + product);
      }
    }
  }

protected:
  static Float32x4 to_all(float value) { return Float32x4{value, value, value, value}; }
  static Float32x4 to_floats(const Int32x4& numbers) { return __builtin_convertvector(numbers, Float32x4); }
  /// As exact_product.
  static Float32x4 times(const Float32x4& a, const Float32x4& b) { return hidden(a * b); }
  /// As exact_round, with bits above the number's: low halves and bytes are right.
  static UInt32x4 whole(const Float32x4& value) { return bits_as<UInt32x4>(value + rounding_shift); }

  static Float32x4 load(const float* from, Index count) {
    if (count >= 4) return load_bits<Float32x4>(from);
    return Float32x4{from[0], count > 1 ? from[1] : 0.0f, count > 2 ? from[2] : 0.0f, 0.0f};
  }
  static void store(float* to, Index count, const Float32x4& value) {
    if (count >= 4) {
      std::memcpy(to, &value, sizeof value);
    } else {
      for (Index i = 0; i < count; ++i) to[i] = value[static_cast<std::size_t>(i)];
    }
  }
  static Int32x4 lanes_below(Index count) {
    const auto limit = static_cast<std::int32_t>(std::clamp<Index>(count, 0, 4));
    return Int32x4{0, 1, 2, 3} < Int32x4{limit, limit, limit, limit};
  }
  /// Zero from lane `count` on.
  static Float32x4 first_of(const Float32x4& value, Index count) {
    return bits_as<Float32x4>(bits_as<Int32x4>(value) & lanes_below(count));
  }

  static Float32x4 exp2(Float32x4 x) {
    const Float32x4 min = to_all(Exp2::min), max = to_all(Exp2::max);
    x = min > x ? min : x;  // NaN: the second one
    x = max < x ? max : x;
    const Float32x4 shifted = x + rounding_shift, r = x - (shifted - rounding_shift);
    Float32x4 p = times(to_all(Exp2::c5), r) + Exp2::c4;
    p = times(p, r) + Exp2::c3;
    p = times(p, r) + Exp2::c2;
    p = times(p, r) + Exp2::c1;
    p = times(p, r) + 1.0f;
    return bits_as<Float32x4>(bits_as<UInt32x4>(p) + (bits_as<UInt32x4>(shifted) << 23));
  }
  /// As fold_lanes.
  static float fold(const Float32x4 (&lanes)[4]) {
    const Float32x4 four = (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
    return (four[0] + four[2]) + (four[1] + four[3]);
  }
  static float largest_of(const Float32x4& lanes) {
    float largest = lanes[0];
    for (std::size_t i = 1; i < 4; ++i)
      if (lanes[i] > largest) largest = lanes[i];
    return largest;
  }
};

}  // namespace icrl::detail
