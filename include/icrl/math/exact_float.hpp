// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <cstring>

#include <icrl/core/target.hpp>

// Floating-point functions with the same bits everywhere: on every target, by every compiler, at every level of
// optimization. IEEE 754 rounds +, -, *, / and the square root exactly, so a fixed sequence of them is enough, as long
// as no compiler contracts a product and a sum into one fused operation, which rounds once where the sequence rounds
// twice. g++ does so by default wherever the target has the instruction, also across intrinsics. Therefore every
// product that goes into a sum is an `exact_product`, which hides its result from the compiler and costs no
// instruction.
namespace icrl::detail {

/// Hides how a number came about. The number stays in its register.
template <typename S>
inline S hidden(S value) {
#if defined(__x86_64__)
  asm("" : "+x"(value));
#elif defined(__aarch64__)
  asm("" : "+w"(value));
#elif defined(__wasm__)
  asm("" : "+r"(value));
#else
  asm("" : "+m"(value));
#endif
  return value;
}

/// a * b, rounded, even if the product is then added to something (never fused).
template <typename S>
inline S exact_product(S a, S b) {
  return hidden(a * b);
}

inline std::uint32_t bits_of(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}
inline float float_of(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// 1.5 * 2^23: added to a number below 2^22 it rounds to the nearest whole number, ties to even, which is then in the
/// low bits.
inline constexpr float rounding_shift = 12582912.0f;

/// The nearest whole number, ties to even, of |value| < 2^22; for NaN and larger values the result is unspecified.
/// `value` is no unhidden product.
inline std::int32_t exact_round(float value) {
  return static_cast<std::int32_t>(bits_of(value + rounding_shift) - bits_of(rounding_shift));
}

/// 2^r = 1 + r (c1 + r (c2 + ...)) for |r| <= 1/2, within 1e-7 before rounding; 1 for r = 0.
struct Exp2 {
  static constexpr float c1 = 0.693147004f, c2 = 0.240222424f, c3 = 0.0555073358f, c4 = 0.00967151392f,
                         c5 = 0.00132647285f;
  static constexpr float min = -126.0f, max = 126.0f;  ///< what lies beyond is taken as these
};

/// 2^x, within 3e-7 of it; NaN stays NaN.
inline float exact_exp2(float x) {
  x = Exp2::min > x ? Exp2::min : x;
  x = Exp2::max < x ? Exp2::max : x;
  const float shifted = hidden(x + rounding_shift), n = shifted - rounding_shift, r = x - n;
  float p = exact_product(Exp2::c5, r) + Exp2::c4;
  p = exact_product(p, r) + Exp2::c3;
  p = exact_product(p, r) + Exp2::c2;
  p = exact_product(p, r) + Exp2::c1;
  p = exact_product(p, r) + 1.0f;
  return float_of(bits_of(p) + (bits_of(shifted) << 23));
}

/// GELU in its tanh form (Hendrycks & Gimpel, 2016), x / (1 + 2^(x (linear + cubic x^2))).
struct Gelu {
  static constexpr float linear = -2.3022082f;  ///< -2 sqrt(2 / pi) log2(e)
  static constexpr float cubic = -0.10294324f;  ///< 0.044715 times that
};

inline float exact_gelu(float x) {
  return x / (1.0f + exact_exp2(exact_product(x, Gelu::linear + exact_product(Gelu::cubic, x * x))));
}

}  // namespace icrl::detail
