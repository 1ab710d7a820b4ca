// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <limits>

#include <icrl/math/bfloat16.hpp>
#include <icrl/math/row_kernels.hpp>

// Loops over one or two rows (tokens) whose results are rounded to bfloat16. What is rounded next need not be more
// exact than that: the exponential here is half as long as the one of floats.
namespace icrl {

namespace detail {

/// 2^x within 1.02e-4 of it for -125 <= x <= 126; between 0 and 2^-125 below, 2^126 or more above, maybe infinity.
/// Rounding to bfloat16 may change 40 times as much. NaN stays NaN, except for NaN with certain values of its lowest 9
/// payload bits, which no operation produces.
inline Packet<float> rough_exp2(const Packet<float>& x) {
  // 2^x = 2^n 2^r with n = round(x).
#if defined(__AVX512DQ__)
  const auto r = Packet<float>(_mm512_maskz_reduce_ps(0xffff, __m512(x), _MM_FROUND_TO_NEAREST_INT));
#else
  // Adding 1.5 * 2^23 rounds, and leaves n in the low bits.
  const Packet<float> clamped = at_most(at_least(x, -125.0f), 126.0f), shifted = clamped + 12582912.0f,
                      r = clamped - (shifted - 12582912.0f);
#endif
  // The polynomial of degree 3 that is 1 at 0 and whose largest relative error for |r| <= 1/2 is least.
  Packet<float> p = multiply_add<float>(broadcast(5.500913932e-2f), r, broadcast(2.422114952e-1f));
  p = multiply_add<float>(p, r, broadcast(6.932829637e-1f));
  p = multiply_add<float>(p, r, broadcast(1.0f));
#if defined(__AVX512DQ__)
  return Packet<float>(_mm512_maskz_scalef_ps(0xffff, __m512(p), __m512(x - r)));
#else
  Packet<std::uint32_t> bits, exponent;  // unsigned: those of a NaN may wrap around
  std::memcpy(&bits, &p, sizeof bits);
  std::memcpy(&exponent, &shifted, sizeof exponent);
  bits += exponent << 23;
  std::memcpy(&p, &bits, sizeof p);
  return p;
#endif
}

/// 1 / x for x >= 1, within 6.2e-5 of it.
inline Packet<float> rough_reciprocal(const Packet<float>& x) {
#if defined(__AVX512F__)
  return Packet<float>(_mm512_maskz_rcp14_ps(0xffff, __m512(x)));  // the mask: see reciprocal
#else
  return 1.0f / x;
#endif
}

/// As gelu, for results that are rounded: the value within 1.7e-4, the slope within 1.01e-3, half of what rounding to
/// bfloat16 may change.
inline Packet<float> rough_gelu(const Packet<float>& x, Packet<float>& slope) {
  return gelu<float>(x, slope, log2_e, [](const Packet<float>& u) { return rough_reciprocal(1.0f + rough_exp2(u)); });
}

/// How a kernel reads and writes the packets of a row. The last packet may be partial: beyond its end, zeros are read
/// and nothing is written.
struct WholePacket {
  static Packet<float> read(const float* from) { return load(from); }
  static Packet<Bf16Pair> read(const Bf16Pair* from) { return load(from); }
  static void write(float* to, const Packet<float>& values) { store(to, values); }
  static void write(Bf16Pair* to, const Packet<Bf16Pair>& pairs) { store(to, pairs); }
  static void write_rounded(Bf16Pair* to, const Packet<float>& values) { store_rounded(values, to); }
};
struct PartOfPacket {
  Index count;

  template <typename Number>
  Packet<Number> read(const Number* from) const {
    return load_first(from, count);
  }
  template <typename Number>
  void write(Number* to, const Packet<Number>& values) const {
    store_first(to, values, count);
  }
  void write_rounded(Bf16Pair* to, const Packet<float>& values) const {
    Bf16Pair part[lane_count<float>];
    store_rounded(first_lanes<float>(values, count, 0.0f), part);
    std::copy_n(part, pair_count(count), to);
  }
};

/// Calls kernel(access, i) for the packets of a row of `size` numbers. Kernels hold their pointers by value: if they
/// held them by reference, compilers would have to assume that every store may change the pointers.
template <typename Kernel>
[[gnu::always_inline]] inline void for_each_packet(Index size, Kernel kernel) {
  const Index whole = size - size % lanes<float>;
  for (Index i = 0; i < whole; i += lanes<float>) kernel(WholePacket{}, i);
  if (whole < size) kernel(PartOfPacket{size - whole}, whole);
}

}  // namespace detail

/// Where rows in pairs of neighbors go: row r to data + r * stride.
struct Bf16Rows {
  Bf16Pair* data;  ///< of row 0
  Index stride;    ///< pairs from one row to the next

  /// Row r is row `first` + r of the matrix.
  Bf16Rows(Buffer<Bf16Pair>& matrix, Index first = 0) : data{row_data(matrix, first)}, stride{matrix.cols()} {}
};

namespace detail {

/// Rows r and r + 1 of a block, which are written in both orders. If there is no row r + 1, row r is read in its place,
/// and its half of every pair is set to zero.
struct RowPair {
  Index lower;
  Bf16Pair *to_upper, *to_lower, *to_pairs;
  Bf16Pair mask;  // which halves of a pair count

  RowPair(Index r, Index count, const Bf16Rows& rows, Bf16Pair* pairs)
      : lower{r + 1 < count ? r + 1 : r},
        to_upper{rows.data + r * rows.stride},
        to_lower{rows.data + lower * rows.stride},
        to_pairs{pairs},
        mask{lower > r ? ~Bf16Pair{0} : Bf16Pair{0xffff}} {}

  template <typename Access>
  [[gnu::always_inline]] void write(const Access& access, Index i, const Packet<float>& above,
                                    const Packet<float>& below) const {
    access.write_rounded(to_lower + i / 2, below);
    access.write_rounded(to_upper + i / 2, above);
    access.write(to_pairs + i, round_pairs(above, below) & mask);
  }
};

}  // namespace detail

// Functions on a block of rows leave it in bfloat16 in both orders: `rows` in pairs of neighbors, and `pairs` of the
// tokens 2i and 2i + 1, where the block begins with the token `first`, which is even. A token that is missing to a pair
// counts as zeros.

/// x (block, n).
inline void round_both(MatrixIn<float> x, Index first, Bf16Rows rows, Buffer<Bf16Pair>& pairs) {
  for (Index r = 0; r < x.rows(); r += 2) {
    const detail::RowPair pair{r, x.rows(), rows, row_data(pairs, (first + r) / 2)};
    const float *const upper = row_data(x, r), *const lower = row_data(x, pair.lower);
    detail::for_each_packet(
        x.cols(), [=](auto access, Index i) { pair.write(access, i, access.read(upper + i), access.read(lower + i)); });
  }
}

/// gain * x_hat + bias, where x_hat (block, n) has been standardised.
inline void round_scaled(MatrixIn<float> x_hat, const RowVector<float>& gain, const RowVector<float>& bias, Index first,
                         Bf16Rows rows, Buffer<Bf16Pair>& pairs) {
  const float *const factor = gain.data(), *const summand = bias.data();
  for (Index r = 0; r < x_hat.rows(); r += 2) {
    const detail::RowPair pair{r, x_hat.rows(), rows, row_data(pairs, (first + r) / 2)};
    const float *const upper = row_data(x_hat, r), *const lower = row_data(x_hat, pair.lower);
    detail::for_each_packet(x_hat.cols(), [=](auto access, Index i) {
      const auto scaled = [&](const float* row) {
        return detail::multiply_add<float>(access.read(row + i), access.read(factor + i), access.read(summand + i));
      };
      pair.write(access, i, scaled(upper), scaled(lower));
    });
  }
}

/// GELU of x (block, n), and its derivative in pairs of tokens.
inline void round_gelu(MatrixIn<float> x, Index first, Bf16Rows rows, Buffer<Bf16Pair>& pairs,
                       Buffer<Bf16Pair>& slopes) {
  for (Index r = 0; r < x.rows(); r += 2) {
    const detail::RowPair pair{r, x.rows(), rows, row_data(pairs, (first + r) / 2)};
    const float *const upper = row_data(x, r), *const lower = row_data(x, pair.lower);
    Bf16Pair* const to_slopes = row_data(slopes, (first + r) / 2);
    detail::for_each_packet(x.cols(), [=](auto access, Index i) {
      detail::Packet<float> slope_above, slope_below;
      const auto above = detail::rough_gelu(access.read(upper + i), slope_above),
                 below = detail::rough_gelu(access.read(lower + i), slope_below);
      pair.write(access, i, above, below);
      access.write(to_slopes + i, detail::round_pairs(slope_above, slope_below) & pair.mask);
    });
  }
}

/// d (block, n) times `slopes`, pairs of the tokens from `first` on; the sums are added to `total`.
inline void round_product(MatrixIn<float> d, Index first, const Buffer<Bf16Pair>& slopes, Bf16Rows rows,
                          Buffer<Bf16Pair>& pairs, RowVector<float>& total) {
  float* const sums = total.data();
  for (Index r = 0; r < d.rows(); r += 2) {
    const detail::RowPair pair{r, d.rows(), rows, row_data(pairs, (first + r) / 2)};
    const float *const upper = row_data(d, r), *const lower = row_data(d, pair.lower);
    const Bf16Pair* const slope = row_data(slopes, (first + r) / 2);
    detail::for_each_packet(d.cols(), [=](auto access, Index i) {
      // Of a missing row the slope is zero.
      const detail::Packet<Bf16Pair> both = access.read(slope + i);
      const detail::Packet<float> above = access.read(upper + i) * detail::first_of(both),
                                  below = access.read(lower + i) * detail::second_of(both);
      access.write(sums + i, access.read(static_cast<const float*>(sums) + i) + above + below);
      pair.write(access, i, above, below);
    });
  }
}

/// to = x * factor, rounded, in pairs of neighbors. `size` numbers.
inline void round_scaled_row(const float* x, float factor, Index size, Bf16Pair* to) {
  using namespace detail;
  round_numbers(
      size, to, [&](Index i) -> Packet<float> { return load(x + i) * factor; }, [&](Index i) { return x[i] * factor; });
}

/// The same, and returns the sum of to * other, computed from the rounded numbers, so that it matches products of them
/// exactly.
inline float round_scaled_row(const float* x, float factor, Index size, Bf16Pair* to, const Bf16Pair* other) {
  using namespace detail;
  round_scaled_row(x, factor, size, to);
  Packet<float> total{};
  const Index whole = size - size % lanes<float>;
  for (Index i = 0; i < whole; i += lanes<float>)
    total = multiply_add<float>(load_rounded(to + i / 2), load_rounded(other + i / 2), total);
  float tail = 0;
  for (Index i = whole; i < size; ++i) tail += number_at(to, i) * number_at(other, i);
  return sum<float>(total) + tail;
}

/// Two rows of numbers for one pass over both.
template <typename Number>
struct TwoRows {
  Number *upper, *lower;  ///< where the two rows begin
};

/// Softmax of two rows of scores without the division: e^(scale * (x - largest x)), rounded, over the first `count`
/// numbers of the upper row and `count` + 1 of the lower one, then 0. Writes the result twice: to two rows, in pairs of
/// neighbors, and in pairs of the two rows, packet i to column(i). Returns 1 / the sum of each row. `size` > count is a
/// whole number of packets.
template <typename Column>
std::array<float, 2> round_exponentials(const TwoRows<const float>& x, Index count, Index size, float scale,
                                        const TwoRows<Bf16Pair>& to, Column&& column) {
  using namespace detail;
  const float *const upper = x.upper, *const lower = x.lower;
  Bf16Pair *const to_upper = to.upper, *const to_lower = to.lower;
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
  const auto exponential = [&](const float* from, const Packet<float>& most) {
    return rough_exp2((load(from) - most) * factor);
  };
  for (Index i = 0; i < seen; i += lanes<float>)
    put(i, exponential(upper + i, most_upper), exponential(lower + i, most_lower));
  for (Index i = seen; i < size; i += lanes<float>) {
    put(i, first_lanes<float>(exponential(upper + i, most_upper), count - i, 0.0f),
        first_lanes<float>(exponential(lower + i, most_lower), count + 1 - i, 0.0f));
  }
  return {1 / sum<float>(total_upper), 1 / sum<float>(total_lower)};
}

/// The derivatives of two rows of scores: p * (d - mean) * scale, where p are pairs of the two rows, packet i of them
/// at p(i), and d and `mean` are given per row. Writes to two rows and to columns, as `round_exponentials` does.
/// Prefetches the memory after p(i), which holds the packets of the next pairs of rows: every i is a separate stream,
/// too many for the hardware prefetcher.
template <typename Probabilities, typename Column>
void round_score_derivatives(const TwoRows<const float>& d, std::array<float, 2> mean, Index size, float scale,
                             Probabilities&& p, const TwoRows<Bf16Pair>& to, Column&& column) {
  using namespace detail;
  const float *const d_upper = d.upper, *const d_lower = d.lower;
  Bf16Pair *const to_upper = to.upper, *const to_lower = to.lower;
  const Packet<float> factor = broadcast(scale), shift_upper = broadcast(-mean[0] * scale),
                      shift_lower = broadcast(-mean[1] * scale);
  for (Index i = 0; i < size; i += lanes<float>) {
    const Bf16Pair* const from = p(i);
    __builtin_prefetch(from + 64);
    const Packet<Bf16Pair> pairs = load(from);
    const Packet<float> upper = first_of(pairs) * multiply_add<float>(load(d_upper + i), factor, shift_upper),
                        lower = second_of(pairs) * multiply_add<float>(load(d_lower + i), factor, shift_lower);
    store_rounded(upper, to_upper + i / 2);
    store_rounded(lower, to_lower + i / 2);
    store(column(i), round_pairs(upper, lower));
  }
}

}  // namespace icrl
