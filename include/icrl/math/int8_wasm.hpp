// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/math/int8_simd128.hpp>

#if defined(__wasm_simd128__)

#include <wasm_simd128.h>

namespace icrl::detail {

/// Products of int8 for WebAssembly, see Simd128Int8: of codes that are widened to 16 bits, where two neighbors are
/// summed in one instruction.
struct WasmProducts {
  static constexpr int panels = 1;
  /// Two sums per output, those of the first two outputs in `low`.
  struct Sum {
    UInt32x4 low, high;
  };
  using Factor = v128_t;  ///< 4 numbers of 16 bits, twice

  static Factor factor(std::uint32_t word) {
    return wasm_i16x8_extend_low_i8x16(bits_as<v128_t>(UInt32x4{word, word}));
  }
  static void add(Sum& sum, const UInt8x16& codes, const Factor& by) {
    const auto bytes = bits_as<v128_t>(codes);
    sum.low += bits_as<UInt32x4>(wasm_i32x4_dot_i16x8(wasm_i16x8_extend_low_i8x16(bytes), by));
    sum.high += bits_as<UInt32x4>(wasm_i32x4_dot_i16x8(wasm_i16x8_extend_high_i8x16(bytes), by));
  }
  static Int32x4 total(const Sum& sum) {
    return bits_as<Int32x4>(__builtin_shufflevector(sum.low, sum.high, 0, 2, 4, 6) +
                            __builtin_shufflevector(sum.low, sum.high, 1, 3, 5, 7));
  }

  using WeightedSum = Sum;
  using Weights = Factor;

  static void store_weights(const UInt16x8& a, const UInt16x8& b, std::uint8_t* to) {
    std::memcpy(to, &a, sizeof a);
    std::memcpy(to + 16, &b, sizeof b);
  }
  static Weights weights(const std::uint8_t* from, Index group) { return wasm_v128_load64_splat(from + 8 * group); }
  static void add_weighted(WeightedSum& sum, const UInt8x16& codes, const Weights& by) { add(sum, codes, by); }
};

/// The level `wasm_simd128`.
using WasmInt8 = Simd128Int8<WasmProducts>;

}  // namespace icrl::detail

#endif
