// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <icrl/math/matrix.hpp>

// Vectors of the compiler's own (g++ and clang), as wide as the target's registers: one source for AVX-512, AVX2, SSE2
// and NEON, and for float and double.
namespace icrl::detail {

#if defined(__AVX512F__)
inline constexpr int packet_bytes = 64;
#elif defined(__AVX__)
inline constexpr int packet_bytes = 32;
#else
inline constexpr int packet_bytes = 16;
#endif

template <typename S>
struct PacketTraits;
template <>
struct PacketTraits<float> {
  typedef float Type __attribute__((vector_size(packet_bytes)));
  typedef std::int32_t Bits __attribute__((vector_size(packet_bytes)));
};
template <>
struct PacketTraits<double> {
  typedef double Type __attribute__((vector_size(packet_bytes)));
  typedef std::int64_t Bits __attribute__((vector_size(packet_bytes)));
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

template <typename S>
inline Packet<S> broadcast(S value) {
  return Packet<S>{} + value;
}

/// Adds neighbours pairwise, in an order that does not depend on the compiler.
template <typename S>
inline S sum(const Packet<S>& value) {
  S parts[lanes<S>];
  std::memcpy(parts, &value, sizeof value);
  for (Index width = lanes<S> / 2; width > 0; width /= 2)
    for (Index i = 0; i < width; ++i) parts[i] += parts[i + width];
  return parts[0];
}

template <typename S>
inline S largest(const Packet<S>& value) {
  S parts[lanes<S>];
  std::memcpy(parts, &value, sizeof value);
  for (Index width = lanes<S> / 2; width > 0; width /= 2)
    for (Index i = 0; i < width; ++i) parts[i] = parts[i] > parts[i + width] ? parts[i] : parts[i + width];
  return parts[0];
}

/// e^x, within 2 units in the last place; 0 below -87, which is where a masked score lies. NaN stays NaN.
inline Packet<float> exp(const Packet<float>& x) {
  using Float = Packet<float>;
  using Bits = PacketTraits<float>::Bits;
  const Float lowest = broadcast(-87.0f), highest = broadcast(88.0f);
  Float clamped = x < lowest ? lowest : x;
  clamped = clamped > highest ? highest : clamped;
  // e^x = 2^n e^r with n = round(x / ln 2): adding 1.5 * 2^23 rounds, and leaves n in the low bits.
  const Float shifted = clamped * 1.44269504088896341f + 12582912.0f;
  const Float n = shifted - 12582912.0f;
  const Float r = (clamped - n * 0.693359375f) - n * -2.12194440e-4f;
  Float p = broadcast(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  Bits exponent;
  std::memcpy(&exponent, &shifted, sizeof exponent);
  exponent = (exponent << 23) + (127 << 23);
  Float scale;
  std::memcpy(&scale, &exponent, sizeof scale);
  const Float result = p * scale;
  return x < lowest ? Float{} : result;
}

inline Packet<double> exp(const Packet<double>& x) {
  Packet<double> result = x;
  for (int i = 0; i < static_cast<int>(lanes<double>); ++i) result[i] = std::exp(x[i]);
  return result;
}

/// The same function on one number: tails of rows agree with their packets.
template <typename S>
inline S exp_one(S x) {
  return exp(broadcast(x))[0];
}

}  // namespace icrl::detail
