// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

// Under the very conditions under which intrinsics are used below: Eigen includes them, too, but not always.
#if defined(__AVX512F__) || defined(__FMA__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include <icrl/math/matrix.hpp>

// Vectors of the compiler's own (g++ and clang), as wide as the target's registers: one source for AVX-512, AVX2, SSE2
// and NEON, and for float and double.
namespace icrl::detail {

template <typename S>
struct PacketTraits;
template <>
struct PacketTraits<float> {
  using Type = float __attribute__((vector_size(packet_bytes)));
  using Bits = std::int32_t __attribute__((vector_size(packet_bytes)));
};
template <>
struct PacketTraits<double> {
  using Type = double __attribute__((vector_size(packet_bytes)));
  using Bits = std::int64_t __attribute__((vector_size(packet_bytes)));
};
/// Two numbers in bfloat16 that are neighbors in the depth of a product, the first one in the low half.
using Bf16Pair = std::uint32_t;
template <>
struct PacketTraits<Bf16Pair> {
  using Type = Bf16Pair __attribute__((vector_size(packet_bytes)));
};
template <typename S>
using Packet = typename PacketTraits<S>::Type;
template <typename S>
inline constexpr std::size_t lane_count = packet_bytes / sizeof(S);
template <typename S>
inline constexpr Index lanes = static_cast<Index>(lane_count<S>);

template <typename S>
inline Packet<S> load(const S* from) {
  Packet<S> value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <typename S>
inline void store(S* to, const Packet<S>& value) {
  std::memcpy(to, &value, sizeof value);
}

/// Loads or stores only the first `count` numbers of a packet; no other memory is accessed. Loading sets the rest to
/// zero.
template <typename S>
inline Packet<S> load_first(const S* from, Index count) {
#if defined(__AVX512F__)
  const auto mask = static_cast<std::uint32_t>((1u << count) - 1);
  Packet<S> value;
  if constexpr (sizeof(S) == 4) {
    const __m512i bits = _mm512_maskz_loadu_epi32(static_cast<__mmask16>(mask), from);
    std::memcpy(&value, &bits, sizeof value);
  } else {
    const __m512i bits = _mm512_maskz_loadu_epi64(static_cast<__mmask8>(mask), from);
    std::memcpy(&value, &bits, sizeof value);
  }
  return value;
#else
  S part[lane_count<S>] = {};
  for (Index i = 0; i < count; ++i) part[i] = from[i];
  return load(part);
#endif
}
template <typename S>
inline void store_first(S* to, const Packet<S>& value, Index count) {
  for (Index i = 0; i < count; ++i) to[i] = value[static_cast<std::size_t>(i)];
}

/// Minus zero, not plus: x - 0 is x for every x, so compilers leave the subtraction out; -0 + 0 would not be -0.
template <typename S>
inline Packet<S> broadcast(S value) {
  return value - Packet<S>{};
}

/// The number or the pair at `from` in every lane, to go into add_product.
template <typename In>
inline Packet<In> load_to_all(const In* from) {
#if defined(__clang__) && defined(__AVX512BF16__)
  // Clang would load a pair by the instruction for floats, with which Zen 4 takes a third longer for narrow tiles: 1.32
  // cycles instead of 1.00 for a product of 8 rows and one packet.
  if constexpr (std::is_same_v<In, Bf16Pair>) {
    Packet<In> pairs;
    asm("vpbroadcastd %1, %0" : "=v"(pairs) : "m"(*from));
    return pairs;
  }
#endif
  return broadcast(*from);
}

/// a * b + c, rounded once where the target can. Fused explicitly, because compilers decide for each loop whether to
/// fuse (when tuning for Zen, g++ does not fuse single chains), and the result of a row would then depend on how many
/// rows are computed with it.
template <typename S>
inline Packet<S> multiply_add(const Packet<S>& a, const Packet<S>& b, const Packet<S>& c) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<S, float>) {
    return Packet<S>(_mm512_fmadd_ps(__m512(a), __m512(b), __m512(c)));
  } else {
    return Packet<S>(_mm512_fmadd_pd(__m512d(a), __m512d(b), __m512d(c)));
  }
#elif defined(__FMA__)
  if constexpr (std::is_same_v<S, float>)
    return Packet<S>(_mm256_fmadd_ps(__m256(a), __m256(b), __m256(c)));
  else
    return Packet<S>(_mm256_fmadd_pd(__m256d(a), __m256d(b), __m256d(c)));
#elif defined(__aarch64__)
  if constexpr (std::is_same_v<S, float>)
    return Packet<S>(vfmaq_f32(float32x4_t(c), float32x4_t(a), float32x4_t(b)));
  else
    return Packet<S>(vfmaq_f64(float64x2_t(c), float64x2_t(a), float64x2_t(b)));
#else
  return a * b + c;
#endif
}

/// The first numbers of pairs, and the second ones.
inline Packet<float> first_of(const Packet<Bf16Pair>& pairs) {
  const Packet<Bf16Pair> bits = pairs << 16;
  Packet<float> values;
  std::memcpy(&values, &bits, sizeof values);
  return values;
}
inline Packet<float> second_of(const Packet<Bf16Pair>& pairs) {
  const Packet<Bf16Pair> bits = pairs & 0xffff0000u;
  Packet<float> values;
  std::memcpy(&values, &bits, sizeof values);
  return values;
}

/// The type in which products of such numbers are summed.
template <typename In>
using ProductSum = std::conditional_t<std::is_same_v<In, Bf16Pair>, float, In>;

/// a * b + c, where a and b are numbers or pairs of them.
template <typename In>
inline Packet<ProductSum<In>> add_product(const Packet<In>& a, const Packet<In>& b, const Packet<ProductSum<In>>& c) {
  if constexpr (std::is_same_v<In, Bf16Pair>) {
#if defined(__AVX512BF16__) && defined(__clang__)
    // Not the intrinsic: its vectors of __bf16 send clang 16 into an endless recursion (VectorCombine) at every level.
    Packet<float> sum = c;
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
#elif defined(__AVX512BF16__)
    return Packet<float>(_mm512_dpbf16_ps(__m512(c), __m512bh(a), __m512bh(b)));
#else
    return multiply_add<float>(first_of(a), first_of(b), multiply_add<float>(second_of(a), second_of(b), c));
#endif
  } else {
    return multiply_add<In>(a, b, c);
  }
}

/// The same for one number, for the tail of a row. It gives the same result as a packet.
template <typename S>
inline S multiply_add_one(S a, S b, S c) {
  if constexpr (fuses_multiply_add)
    return std::fma(a, b, c);
  else
    return a * b + c;
}

/// `value` in the lanes below `count`, `other` in the rest.
template <typename S>
inline Packet<S> first_lanes(const Packet<S>& value, Index count, S other) {
  using Bits = typename PacketTraits<S>::Bits;
  using Number = std::remove_cvref_t<decltype(Bits{}[0])>;
  const Bits lane = []<std::size_t... i>(std::index_sequence<i...>) { return Bits{static_cast<Number>(i)...}; }
  (std::make_index_sequence<lane_count<S>>{});
  const Bits kept = lane < static_cast<Number>(count);
  return kept ? value : broadcast(other);
}

/// Combines the lanes in a tree: the upper half with the lower one, then the halves of the result, and so on. The order
/// is fixed, so the result does not depend on the compiler.
template <typename S, std::size_t count, typename Vector, typename Combine>
inline S fold(const Vector& value, Combine combine) {
  if constexpr (count == 2) {
    return combine(value[0], value[1]);
  } else {
    return [&]<std::size_t... i>(std::index_sequence<i...>) {
      const auto lower = __builtin_shufflevector(value, value, i...);
      const auto upper = __builtin_shufflevector(value, value, (i + count / 2)...);
      return fold<S, count / 2>(combine(lower, upper), combine);
    }
    (std::make_index_sequence<count / 2>{});
  }
}

template <typename S>
inline S sum(const Packet<S>& value) {
  return fold<S, lane_count<S>>(value, [](const auto& a, const auto& b) { return a + b; });
}

template <typename S>
inline S largest(const Packet<S>& value) {
  return fold<S, lane_count<S>>(value,
                                [](const auto& a, const auto& b) { return std::decay_t<decltype(a)>(a > b ? a : b); });
}

/// 1 / x for finite x >= 1, within 2 units in the last place. Dividing takes the time of five multiplications or more.
template <typename S>
inline Packet<S> reciprocal(const Packet<S>& x) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<S, float>) {
    // Newton's step from 14 bits. The form without a mask makes g++ 12 warn (GCC bug 105593).
    const auto guess = Packet<float>(_mm512_maskz_rcp14_ps(0xffff, __m512(x)));
    return guess * multiply_add<float>(-x, guess, broadcast(2.0f));
  }
#endif
  return S(1) / x;
}

/// The larger one of x and `least`, and the smaller one of x and `most`; NaN stays NaN.
inline Packet<float> at_least(const Packet<float>& x, float least) {
#if defined(__AVX512F__)
  return Packet<float>(_mm512_maskz_max_ps(0xffff, __m512(broadcast(least)), __m512(x)));  // NaN: the second one
#else
  return x < least ? broadcast(least) : x;
#endif
}
inline Packet<float> at_most(const Packet<float>& x, float most) {
#if defined(__AVX512F__)
  return Packet<float>(_mm512_maskz_min_ps(0xffff, __m512(broadcast(most)), __m512(x)));
#else
  return x > most ? broadcast(most) : x;
#endif
}

inline constexpr float log2_e = 1.44269504088896341f;

/// e^x, within 2 units in the last place; 0 below -87, as for a masked score. NaN stays NaN.
inline Packet<float> exp(const Packet<float>& x) {
  using Float = Packet<float>;
  using Bits = Packet<std::uint32_t>;  // unsigned: those of a NaN may wrap around
  constexpr float lowest = -87.0f;
  const Float clamped = at_most(at_least(x, lowest), 88.0f);
  // e^x = 2^n e^r with n = round(x / ln 2): adding 1.5 * 2^23 rounds, and leaves n in the low bits.
  const auto fused = [](const Float& u, const Float& v, float w) { return multiply_add<float>(u, v, broadcast(w)); };
  const Float shifted = fused(clamped, broadcast(log2_e), 12582912.0f);
  const Float n = shifted - 12582912.0f;
  Float r = multiply_add<float>(n, broadcast(-0.693359375f), clamped);
  r = multiply_add<float>(n, broadcast(2.12194440e-4f), r);
  Float p = fused(broadcast(1.9875691500e-4f), r, 1.3981999507e-3f);
  p = fused(p, r, 8.3334519073e-3f);
  p = fused(p, r, 4.1665795894e-2f);
  p = fused(p, r, 1.6666665459e-1f);
  p = fused(p, r, 5.0000001201e-1f);
  p = multiply_add<float>(p, r * r, r + 1.0f);
  Bits exponent;
  std::memcpy(&exponent, &shifted, sizeof exponent);
  exponent = (exponent << 23) + (127u << 23);
  Float scale;
  std::memcpy(&scale, &exponent, sizeof scale);
  const Float result = p * scale;
  return x < broadcast(lowest) ? Float{} : result;
}

inline Packet<double> exp(const Packet<double>& x) {
  Packet<double> result = x;
  for (int i = 0; i < static_cast<int>(lanes<double>); ++i) result[i] = std::exp(x[i]);
  return result;
}

}  // namespace icrl::detail
