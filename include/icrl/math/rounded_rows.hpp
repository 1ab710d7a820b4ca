// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <limits>

#include <icrl/math/bfloat16.hpp>
#include <icrl/math/row_kernels.hpp>

// Loops over one or two rows (tokens) whose results are rounded to bfloat16. What is rounded next need not be more exact
// than that: the exponential here is half as long as the one of floats.
namespace icrl {

namespace detail {

/// 2^x for x < 128, within 1.02e-4 of it; 2^-125 below -125. Rounding to bfloat16 may change 40 times as much. NaN stays
/// NaN.
inline Packet<float> rough_exp2(const Packet<float>& x) {
  const Packet<float> clamped = at_least(x, -125.0f);
  // 2^x = 2^n 2^r with n = round(x): adding 1.5 * 2^23 rounds, and leaves n in the low bits.
  const Packet<float> shifted = clamped + 12582912.0f, r = clamped - (shifted - 12582912.0f);
  // The polynomial of degree 3 that is 1 at 0 and whose largest relative error for |r| <= 1/2 is least.
  Packet<float> p = multiply_add<float>(broadcast(5.500913932e-2f), r, broadcast(2.422114952e-1f));
  p = multiply_add<float>(p, r, broadcast(6.932829637e-1f));
  p = multiply_add<float>(p, r, broadcast(1.0f));
  PacketTraits<float>::Bits bits, exponent;
  std::memcpy(&bits, &p, sizeof bits);
  std::memcpy(&exponent, &shifted, sizeof exponent);
  bits += exponent << 23;
  std::memcpy(&p, &bits, sizeof p);
  return p;
}

/// 1 / x for x >= 1, within 6.2e-5 of it.
inline Packet<float> rough_reciprocal(const Packet<float>& x) {
#if defined(__AVX512F__)
  return Packet<float>(_mm512_maskz_rcp14_ps(0xffff, __m512(x)));  // the mask: see reciprocal
#else
  return 1.0f / x;
#endif
}

inline constexpr float log2_e = 1.44269504088896341f;

/// As gelu, for results that are rounded.
inline Packet<float> rough_gelu(const Packet<float>& x, Packet<float>& slope) {
  constexpr float k = 1.5957691216057308f, cubic = 0.044715f;
  const Packet<float> x2 = x * x;
  const Packet<float> u = x * multiply_add<float>(x2, broadcast(-cubic * k * log2_e), broadcast(-k * log2_e));
  const Packet<float> sigmoid = rough_reciprocal(1.0f + rough_exp2(-at_least(-u, -126.0f)));
  const Packet<float> value = x * sigmoid;
  const Packet<float> slope_of_u = multiply_add<float>(x2, broadcast(3 * cubic * k), broadcast(k));
  slope = multiply_add<float>(value * (1.0f - sigmoid), slope_of_u, sigmoid);
  return value;
}

}  // namespace detail

/// y = GELU(x), and its derivative, rounded, in pairs of neighbours. x has `size` numbers.
inline void round_gelu_row(const float* x, Index size, Bf16Pair* y, Bf16Pair* slope) {
  using namespace detail;
  constexpr Index step = lanes<float>;
  const auto two = [&](const float* from, Bf16Pair* to_y, Bf16Pair* to_slope) {
    Packet<float> first_slope, second_slope;
    const Packet<float> first = rough_gelu(load(from), first_slope),
                        second = rough_gelu(load(from + step), second_slope);
    store_rounded(first, second, to_y);
    store_rounded(first_slope, second_slope, to_slope);
  };
  const Index whole = size - size % (2 * step);
  for (Index i = 0; i < whole; i += 2 * step) two(x + i, y + i / 2, slope + i / 2);
  if (whole == size) return;
  float rest[2 * lane_count<float>] = {};
  Bf16Pair rest_y[lane_count<float>], rest_slope[lane_count<float>];
  std::copy(x + whole, x + size, rest);
  two(rest, rest_y, rest_slope);
  std::copy_n(rest_y, pair_count(size - whole), y + whole / 2);
  std::copy_n(rest_slope, pair_count(size - whole), slope + whole / 2);
}

/// to = d * slope, rounded, in pairs of neighbours; total += d * slope. `size` numbers.
inline void round_product_row(const float* d, const Bf16Pair* slope, Index size, Bf16Pair* to, float* total) {
  using namespace detail;
  round_numbers(
      size, to,
      [&](Index i) -> Packet<float> {
        const Packet<float> product = load(d + i) * load_rounded(slope + i / 2);
        store(total + i, load(total + i) + product);
        return product;
      },
      [&](Index i) {
        const float product = d[i] * number_at(slope, i);
        total[i] += product;
        return product;
      });
}

/// to = x * factor, rounded, in pairs of neighbours. `size` numbers.
inline void round_scaled_row(const float* x, float factor, Index size, Bf16Pair* to) {
  using namespace detail;
  round_numbers(
      size, to, [&](Index i) -> Packet<float> { return load(x + i) * factor; },
      [&](Index i) { return x[i] * factor; });
}

/// The same, and the sum of to * other before rounding.
inline float round_scaled_row(const float* x, float factor, Index size, Bf16Pair* to, const Bf16Pair* other) {
  using namespace detail;
  Packet<float> total{};
  float tail = 0;
  round_numbers(
      size, to,
      [&](Index i) -> Packet<float> {
        const Packet<float> scaled = load(x + i) * factor;
        total = multiply_add<float>(scaled, load_rounded(other + i / 2), total);
        return scaled;
      },
      [&](Index i) {
        const float scaled = x[i] * factor;
        tail += scaled * number_at(other, i);
        return scaled;
      });
  return sum<float>(total) + tail;
}

/// Softmax of two rows of scores, but for the division: e^(scale * (x - largest x)) over the first `count` numbers of
/// the upper row and one more of the lower one, 0 beyond, rounded. Goes to two rows, in pairs of neighbours, and in
/// pairs of the two rows, packet i to column(i). Returns 1 / the rows' sums. `size` > count is a whole number of
/// packets.
template <typename Column>
std::array<float, 2> round_exponentials(const float* upper, const float* lower, Index count, Index size, float scale,
                                        Bf16Pair* to_upper, Bf16Pair* to_lower, Column&& column) {
  using namespace detail;
  constexpr float nothing = -std::numeric_limits<float>::infinity();
  const Index seen = count - count % lanes<float>;  // packets that both rows see whole
  Packet<float> most_upper = broadcast(nothing), most_lower = most_upper;
  const auto raise = [](Packet<float>& most, const Packet<float>& value) { most = value > most ? value : most; };
  for (Index i = 0; i < seen; i += lanes<float>) {
    raise(most_upper, load(upper + i));
    raise(most_lower, load(lower + i));
  }
  for (Index i = seen; i < size; i += lanes<float>) {
    raise(most_upper, first_lanes<float>(load(upper + i), count - i, nothing));
    raise(most_lower, first_lanes<float>(load(lower + i), count + 1 - i, nothing));
  }
  const Packet<float> factor = broadcast(scale * log2_e);
  most_upper = broadcast(largest<float>(most_upper));
  most_lower = broadcast(largest<float>(most_lower));
  Packet<float> total_upper{}, total_lower{};
  const auto put = [&](Index i, const Packet<float>& e_upper, const Packet<float>& e_lower) {
    total_upper += e_upper;
    total_lower += e_lower;
    store_rounded(e_upper, to_upper + i / 2);
    store_rounded(e_lower, to_lower + i / 2);
    store(column(i), round_pairs(e_upper, e_lower));
  };
  const auto exponential = [&](const float* x, const Packet<float>& most) {
    return rough_exp2((load(x) - most) * factor);
  };
  for (Index i = 0; i < seen; i += lanes<float>)
    put(i, exponential(upper + i, most_upper), exponential(lower + i, most_lower));
  for (Index i = seen; i < size; i += lanes<float>) {
    put(i, first_lanes<float>(exponential(upper + i, most_upper), count - i, 0.0f),
        first_lanes<float>(exponential(lower + i, most_lower), count + 1 - i, 0.0f));
  }
  return {1 / sum<float>(total_upper), 1 / sum<float>(total_lower)};
}

/// The derivatives of two rows of scores: p * (d - mean) * scale, where p are pairs of the two rows, packet i of them at
/// p(i), and d and `mean` belong to one row each. Goes to two rows and to columns, as `round_exponentials` does.
template <typename Probabilities, typename Column>
void round_score_derivatives(const float* d_upper, const float* d_lower, std::array<float, 2> mean, Index size,
                             float scale, Probabilities&& p, Bf16Pair* to_upper, Bf16Pair* to_lower, Column&& column) {
  using namespace detail;
  const Packet<float> factor = broadcast(scale), shift_upper = broadcast(-mean[0] * scale),
                      shift_lower = broadcast(-mean[1] * scale);
  for (Index i = 0; i < size; i += lanes<float>) {
    const Packet<Bf16Pair> pairs = load<Bf16Pair>(p(i));
    const Packet<float> upper = first_of(pairs) * multiply_add<float>(load(d_upper + i), factor, shift_upper),
                        lower = second_of(pairs) * multiply_add<float>(load(d_lower + i), factor, shift_lower);
    store_rounded(upper, to_upper + i / 2);
    store_rounded(lower, to_lower + i / 2);
    store(column(i), round_pairs(upper, lower));
  }
}

}  // namespace icrl
