// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/math/int8_simd128.hpp>

#if defined(__aarch64__)

#include <arm_neon.h>

namespace icrl::detail {

/// Products of int8 for every aarch64, see Simd128Int8. Products of 8-bit numbers have 16 bits; two of them are summed
/// in 16 bits.
struct NeonProducts {
  static constexpr int panels = 2;
  using Sum = Int32x4;
  using Factor = UInt8x16;

  static Factor factor(std::uint32_t word) { return bits_as<UInt8x16>(UInt32x4{word, word, word, word}); }
  static void add(Sum& sum, const UInt8x16& codes, const Factor& by) {
    const auto a = bits_as<int8x16_t>(codes), b = bits_as<int8x16_t>(by);
    const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b)), high = vmull_high_s8(a, b);
    sum = bits_as<Int32x4>(vpadalq_s16(bits_as<int32x4_t>(sum), vpaddq_s16(low, high)));
  }
  static Int32x4 total(const Sum& sum) { return sum; }

  /// For every column, the products of 4 tokens.
  struct WeightedSum {
    int32x4_t columns[4];
  };
  using Weights = int16x4_t;

  static void store_weights(const UInt16x8& a, const UInt16x8& b, std::uint8_t* to) {
    std::memcpy(to, &a, sizeof a);
    std::memcpy(to + 16, &b, sizeof b);
  }
  static Weights weights(const std::uint8_t* from, Index group) { return load_bits<Weights>(from + 8 * group); }
  static void add_weighted(WeightedSum& sum, const UInt8x16& codes, const Weights& by) {
    const auto values = bits_as<int8x16_t>(codes);
    const int16x8_t low = vmovl_s8(vget_low_s8(values)), high = vmovl_high_s8(values);
    sum.columns[0] = vmlal_s16(sum.columns[0], vget_low_s16(low), by);
    sum.columns[1] = vmlal_s16(sum.columns[1], vget_high_s16(low), by);
    sum.columns[2] = vmlal_s16(sum.columns[2], vget_low_s16(high), by);
    sum.columns[3] = vmlal_s16(sum.columns[3], vget_high_s16(high), by);
  }
  static Int32x4 total(const WeightedSum& sum) {
    return bits_as<Int32x4>(
        vpaddq_s32(vpaddq_s32(sum.columns[0], sum.columns[1]), vpaddq_s32(sum.columns[2], sum.columns[3])));
  }
};

/// The same with the dot-product extension, whose factors are both signed. A weight of 15 bits is 256 high + low. Low
/// is stored minus 128, which the sum of the values compensates.
struct NeonDotProducts : NeonProducts {
  static constexpr int panels = 4;

  static void add(Sum& sum, const UInt8x16& codes, const Factor& by) {
#if defined(__ARM_FEATURE_DOTPROD)
    sum = bits_as<Int32x4>(vdotq_s32(bits_as<int32x4_t>(sum), bits_as<int8x16_t>(codes), bits_as<int8x16_t>(by)));
#else
    // "sdot sum.4s, codes.16b, by.16b", put together of its bits and the registers' numbers, for compilers and
    // assemblers that are told not to use it. A function's own target would not do: "+dotprod" is not enough for the
    // assembler where the base is armv8-a, and with "arch=armv8.2-a+dotprod" nothing is inlined that -mcpu gave another
    // feature.
    asm inline(
        ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n\t"
        ".equ .Licrl_v\\n,\\n\n\t"
        ".endr\n\t"
        ".inst 0x4e809400|.Licrl_%0|.Licrl_%1<<5|.Licrl_%2<<16"
        : "+w"(sum)
        : "w"(codes), "w"(by));
#endif
  }

  struct WeightedSum {
    Int32x4 high, low, plain;
  };
  struct Weights {
    Factor high, low;
  };

  static void store_weights(const UInt16x8& a, const UInt16x8& b, std::uint8_t* to) {
    const UInt8x16 high = high_bytes(a, b), low = low_bytes(a, b) ^ 0x80;
    std::memcpy(to, &high, sizeof high);
    std::memcpy(to + 16, &low, sizeof low);
  }
  static Weights weights(const std::uint8_t* from, Index group) {
    const std::uint8_t* const high = from + group / 4 * 32 + group % 4 * 4;
    return {factor(load_bits<std::uint32_t>(high)), factor(load_bits<std::uint32_t>(high + 16))};
  }
  static void add_weighted(WeightedSum& sum, const UInt8x16& codes, const Weights& by) {
    add(sum.high, codes, by.high);
    add(sum.low, codes, by.low);
    add(sum.plain, codes, factor(0x01010101u));
  }
  using NeonProducts::total;
  static Int32x4 total(const WeightedSum& sum) {
    const UInt32x4 high = bits_as<UInt32x4>(sum.high) << 8, plain = bits_as<UInt32x4>(sum.plain) << 7;
    return bits_as<Int32x4>(high + plain + bits_as<UInt32x4>(sum.low));
  }
};

/// The levels `neon` and `neon_dot`.
using NeonInt8 = Simd128Int8<NeonProducts>;
using NeonDotInt8 = Simd128Int8<NeonDotProducts>;

}  // namespace icrl::detail

#endif
