// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include <icrl/core/assert.hpp>
#include <icrl/math/buffer.hpp>
#include <icrl/math/packet.hpp>

// Matrices in bfloat16 (a float's upper half: 8 bits of precision, all of its range) as factors of products, which take
// numbers in pairs that are neighbors in the depth.
namespace icrl {

/// Two bfloat16 numbers in 32 bits, the first in the lower half.
using Bf16Pair = detail::Bf16Pair;

/// Whether this CPU multiplies pairs faster than floats. Having the instruction is not enough: AMD's cores (Zen 4, Zen
/// 5) start it as often per cycle as an FMA of floats, Intel's (measured on Sapphire Rapids) about a quarter as often,
/// so that products of pairs take 1.8 times as long there as products of floats.
[[nodiscard]] inline bool bfloat16_is_quicker() {
#if defined(__AVX512BF16__)
  return __builtin_cpu_is("amd") != 0;
#else
  return false;
#endif
}

/// Pairs that hold `count` numbers.
constexpr Index pair_count(Index count) { return (count + 1) / 2; }

namespace detail {

/// Rounds to nearest, ties to even; numbers beyond the largest bfloat16 become infinite.
inline std::uint32_t to_bfloat16(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  if (x != x) return 0x7fc0u;
  return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}

inline float to_float(std::uint32_t bfloat16) {
  const std::uint32_t bits = bfloat16 << 16;
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

/// The same for every number of a packet.
inline Packet<Bf16Pair> to_bfloat16(const Packet<float>& x) {
  Packet<Bf16Pair> bits;
  std::memcpy(&bits, &x, sizeof bits);
  const Packet<Bf16Pair> rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return x != x ? broadcast<Bf16Pair>(0x7fc0u) : rounded;
}

/// Pairs of the numbers in the same lane of two packets.
inline Packet<Bf16Pair> round_pairs(const Packet<float>& first, const Packet<float>& second) {
#if defined(__AVX512BF16__)
  using Shorts = std::uint16_t __attribute__((vector_size(packet_bytes)));
  const auto one_after_another = Shorts(_mm512_cvtne2ps_pbh(__m512(second), __m512(first)));
  return [&]<std::size_t... k>(std::index_sequence<k...>) {
    return Packet<Bf16Pair>(__builtin_shufflevector(one_after_another, one_after_another, (k / 2 + k % 2 * 16)...));
  }
  (std::make_index_sequence<32>{});
#else
  return to_bfloat16(first) | to_bfloat16(second) << 16;
#endif
}

/// Two packets of neighbors, and one.
inline void store_rounded(const Packet<float>& first, const Packet<float>& second, Bf16Pair* to) {
#if defined(__AVX512BF16__)
  store(to, Packet<Bf16Pair>(_mm512_cvtne2ps_pbh(__m512(second), __m512(first))));
#else
  [&]<std::size_t... k>(std::index_sequence<k...>) {
    store(to, round_pairs(__builtin_shufflevector(first, second, 2 * k...),
                          __builtin_shufflevector(first, second, (2 * k + 1)...)));
  }
  (std::make_index_sequence<lane_count<float>>{});
#endif
}
inline void store_rounded(const Packet<float>& values, Bf16Pair* to) {
#if defined(__AVX512BF16__)
  const __m256bh pairs = _mm512_cvtneps_pbh(__m512(values));
  std::memcpy(to, &pairs, sizeof pairs);
#else
  Bf16Pair pairs[lane_count<float>];
  store_rounded(values, values, pairs);
  std::memcpy(to, pairs, sizeof pairs / 2);
#endif
}

/// A packet of neighbors, from pairs.
inline Packet<float> load_rounded(const Bf16Pair* from) {
  using Shorts = std::uint16_t __attribute__((vector_size(packet_bytes / 2)));
  Shorts shorts;
  std::memcpy(&shorts, from, sizeof shorts);
  return first_of(__builtin_convertvector(shorts, Packet<Bf16Pair>));
}

/// Stores a row of numbers, rounded, in pairs of neighbors: packet(i) returns a packet that begins at number i,
/// number(i) a single number of the tail. An odd last number is followed by 0.
template <typename Compute, typename ComputeOne>
inline void round_numbers(Index size, Bf16Pair* to, Compute&& packet, ComputeOne&& number) {
  constexpr Index step = lanes<float>;
  const Index whole = size - size % step;
  Index i = 0;
  for (; i + 2 * step <= whole; i += 2 * step) store_rounded(packet(i), packet(i + step), to + i / 2);
  if (i < whole) store_rounded(packet(i), to + i / 2);
  for (i = whole; i < size; i += 2) {
    const std::uint32_t first = to_bfloat16(number(i));
    to[i / 2] = first | (i + 1 < size ? to_bfloat16(number(i + 1)) << 16 : 0);
  }
}

/// Pairs of neighbors of a row.
inline void round_row(const float* from, Index size, Bf16Pair* to) {
  round_numbers(
      size, to, [&](Index i) { return load(from + i); }, [&](Index i) { return from[i]; });
}

/// Number i of a row of pairs of neighbors.
inline float number_at(const Bf16Pair* row, Index i) { return to_float(row[i / 2] >> (i % 2 * 16) & 0xffffu); }

/// Pairs of two rows' numbers: to[c] = (upper[c], lower[c]). `upper` and `lower` hold pairs of neighbors; a null
/// `lower` is a row of zeros.
inline void interleave_rows(const Bf16Pair* upper, const Bf16Pair* lower, Index size, Bf16Pair* to) {
  Index i = 0;
  using Shorts = std::uint16_t __attribute__((vector_size(packet_bytes)));
  constexpr std::size_t shorts = packet_bytes / 2;
  for (; lower != nullptr && i + Index{shorts} <= size; i += Index{shorts}) {
    Shorts a, b;
    std::memcpy(&a, upper + i / 2, sizeof a);
    std::memcpy(&b, lower + i / 2, sizeof b);
    // Stored here and not returned in a pair, which g++ for aarch64 would note a change of its conventions for.
    [&]<std::size_t... k>(std::index_sequence<k...>) {
      const Shorts first = __builtin_shufflevector(a, b, (k / 2 + k % 2 * shorts)...),
                   second = __builtin_shufflevector(a, b, (k / 2 + shorts / 2 + k % 2 * shorts)...);
      std::memcpy(to + i, &first, sizeof first);
      std::memcpy(to + i + shorts / 2, &second, sizeof second);
    }
    (std::make_index_sequence<shorts>{});
  }
  for (; i < size; ++i) {
    const std::uint32_t a = upper[i / 2] >> (i % 2 * 16) & 0xffffu;
    const std::uint32_t b = lower == nullptr ? 0 : lower[i / 2] >> (i % 2 * 16) & 0xffffu;
    to[i] = a | b << 16;
  }
}

}  // namespace detail

/// x (T, n) rounded, pairs along its rows: `to` (T, pairs of n). It is a left factor whose depth is n.
inline void round_rows(MatrixIn<float> x, Buffer<Bf16Pair>& to) {
  reserve_rows(to, x.rows(), pair_count(x.cols()));
  for (Index r = 0; r < x.rows(); ++r) detail::round_row(row_data(x, r), x.cols(), row_data(to, r));
}

/// The first `size` columns of `rounded`, in pairs along the columns: `to` (pairs of T, size), a factor whose depth is
/// T. `rounded` comes from `round_rows`.
inline void pair_rows(const Buffer<Bf16Pair>& rounded, Index rows, Index size, Buffer<Bf16Pair>& to) {
  ICRL_ASSERT(rounded.rows() >= rows && 2 * rounded.cols() >= size,
              "pair_rows: rounded has fewer rows or columns than asked for");
  reserve_rows(to, pair_count(rows), size);
  for (Index r = 0; r < rows; r += 2) {
    const Bf16Pair* const lower = r + 1 < rows ? row_data(rounded, r + 1) : nullptr;
    detail::interleave_rows(row_data(rounded, r), lower, size, row_data(to, r / 2));
  }
}

}  // namespace icrl
