// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/math/bf16_rows.hpp>

#include <cstddef>
#include <limits>
#include <vector>

#include "support/guard_malloc.hpp"
#include "support/guard_pages.hpp"
#include "support/kernel_checks.hpp"
#include "support/plain_bfloat16.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

constexpr double ulp = 1.0 / 256;  // what rounding may change, relatively

constexpr float infinity = std::numeric_limits<float>::infinity();

double rounded(float x) { return first_of_pair(detail::to_bfloat16(opaque(x))); }

/// Rounding of one normal number, alone and in packets.
void check_number(KernelChecks& checks, std::uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  if (!std::isnormal(x)) return;
  const bool overflows = (bits & 0x7fffffffu) >= 0x7f7f8000u;
  const double expected = plainly_rounded(static_cast<double>(x)),
               expected_infinity = static_cast<double>(std::copysign(infinity, x));
  const auto check = [&](const char* what, double got) {
    if (overflows) {
      checks.is_true(what, got == expected_infinity);
    } else {
      checks.close(what, got, expected, 0);
    }
  };
  check("a rounded number", rounded(x));
  Bf16Pair pairs[2 * detail::lane_count<float>];
  detail::store_rounded(detail::broadcast(x), pairs);
  check("the last of a packet", second_of_pair(pairs[detail::lane_count<float> / 2 - 1]));
  detail::store_rounded(detail::broadcast(1.0f), detail::broadcast(x), pairs);
  check("the last of two packets", second_of_pair(pairs[detail::lane_count<float> - 1]));
  const auto both = detail::round_pairs(detail::broadcast(x), detail::broadcast(2.0f));
  check("the first of a pair", first_of_pair(both[0]));
  checks.close("the second of a pair", second_of_pair(both[0]), 2, 0);
}

/// Rounding of single numbers and of packets, over all normal exponents.
void check_numbers(KernelChecks& checks) {
  checks.at("single numbers");
  for (std::uint64_t i = 0; i < 0x200000000u; i += 49999) {
    const auto number = static_cast<std::uint32_t>(i / 2);
    check_number(checks, i % 2 == 0 ? number : (number & 0xffff0000u) | 0x8000u);  // a tie
  }
  checks.at("numbers around the largest");
  for (const std::uint32_t sign : {0u, 0x80000000u})
    for (const std::uint32_t bits : {0x7f7f0000u, 0x7f7f7fffu, 0x7f7f8000u, 0x7f7f8001u, 0x7f7fffffu})
      check_number(checks, sign | bits);
  for (const float x : {infinity, -infinity}) {
    checks.is_true("infinity stays", rounded(x) == static_cast<double>(x));
    const auto pair = detail::round_pairs(detail::broadcast(x), detail::broadcast(x))[0];
    checks.is_true("infinity stays in a packet", second_of_pair(pair) == static_cast<double>(x));
  }
  const float nan = std::numeric_limits<float>::quiet_NaN();
  checks.is_true("NaN stays", std::isnan(rounded(nan)));
  checks.is_true("NaN stays in a packet",
                 std::isnan(first_of_pair(detail::round_pairs(detail::broadcast(nan), detail::broadcast(nan))[0])));
  const auto power = [](float x) { return static_cast<double>(detail::rough_exp2(detail::broadcast(opaque(x)))[0]); };
  for (float x = -124.9f; x < 126; x += 0.137f) {
    const double expected = std::exp2(static_cast<double>(x));
    checks.close("2^x", power(x), expected, 1.02e-4 * expected);
  }
}

/// A block of rows in both orders, as the kernels leave it.
struct Both {
  Buffer<Bf16Pair> rows, pairs;

  Both(Index first, Index count, Index size) : rows(count, pair_count(size)), pairs(pair_count(first + count), size) {}

  /// Checks that the block holds expected(r, i), and zeros in halves that nothing belongs to.
  template <typename Expected>
  void check(KernelChecks& checks, const char* what, Index first, Index count, Index size, double margin,
             const Expected& expected) const {
    for (Index r = 0; r < count; ++r) {
      for (Index i = 0; i < size; ++i) {
        const Bf16Pair along = rows(r, i / 2), across = pairs((first + r) / 2, i);
        const double number = i % 2 == 0 ? first_of_pair(along) : second_of_pair(along), right = expected(r, i);
        checks.close(what, number, right, std::abs(right) * ulp + margin);
        checks.close("a pair of rows", r % 2 == 0 ? first_of_pair(across) : second_of_pair(across), number, 0);
        if (r + 1 == count && r % 2 == 0) checks.close("a missing row", second_of_pair(across), 0, 0);
      }
      if (size % 2 == 1) checks.close("a missing column", second_of_pair(rows(r, size / 2)), 0, 0);
    }
  }
};

/// `count` rows of `size` numbers, from the even row `first` on.
void check_rows(KernelChecks& checks, Index first, Index count, Index size, Guard guard) {
  checks.at("%ld rows from %ld on of %ld numbers", static_cast<long>(count), static_cast<long>(first),
            static_cast<long>(size));
  GuardedArray<float> x{length(count * size), guard}, d{length(count * size), guard};
  RowVector<float> gain(size), bias(size), total = RowVector<float>::Ones(size);
  PlainNumbers numbers{static_cast<std::uint64_t>(count + size)};
  for (auto* array : {&x, &d}) numbers.fill(*array);
  for (float& value : x) value *= 3;
  for (Index i = 0; i < size; ++i) gain(i) = static_cast<float>(numbers());
  for (Index i = 0; i < size; ++i) bias(i) = static_cast<float>(numbers());
  const Eigen::Map<const Matrix<float>> x_map{x.data(), count, size}, d_map{d.data(), count, size};
  const auto at = [&](const GuardedArray<float>& array, Index r, Index i) {
    return static_cast<double>(array[length(r * size + i)]);
  };
  Both plain{first, count, size}, scaled{first, count, size}, gelu{first, count, size}, product{first, count, size};
  Buffer<Bf16Pair> slopes(pair_count(first + count), size);

  round_both(x_map, first, plain.rows, plain.pairs);
  round_scaled(x_map, gain, bias, first, scaled.rows, scaled.pairs);
  round_gelu(x_map, first, gelu.rows, gelu.pairs, slopes);
  round_product(d_map, first, slopes, product.rows, product.pairs, total);

  plain.check(checks, "a number", first, count, size, 0,
              [&](Index r, Index i) { return plainly_rounded(at(x, r, i)); });
  scaled.check(checks, "a scaled number", first, count, size, 1e-6, [&](Index r, Index i) {
    return static_cast<double>(gain(i)) * at(x, r, i) + static_cast<double>(bias(i));
  });
  gelu.check(checks, "GELU", first, count, size, 2e-4, [&](Index r, Index i) { return plain_gelu(at(x, r, i)); });
  const auto slope = [&](Index r, Index i) { return plain_gelu_slope(at(x, r, i)); };
  product.check(checks, "a derivative through GELU", first, count, size, 8e-3,
                [&](Index r, Index i) { return at(d, r, i) * slope(r, i); });
  for (Index i = 0; i < size; ++i) {
    double sum = 1;
    for (Index r = 0; r < count; ++r) sum += at(d, r, i) * slope(r, i);
    checks.close("a column's sum", static_cast<double>(total(i)), sum, 8e-3 * static_cast<double>(count));
  }

  Buffer<Bf16Pair> along, across;
  round_rows(x_map, along);
  pair_rows(along, count, size, across);
  for (Index r = 0; r < count; ++r) {
    for (Index i = 0; i < size; ++i) {
      const double number = static_cast<double>(detail::number_at(row_data(along, r), i));
      checks.close("a number of round_rows", number, plainly_rounded(at(x, r, i)), 0);
      const Bf16Pair pair = across(r / 2, i);
      checks.close("a number of pair_rows", r % 2 == 0 ? first_of_pair(pair) : second_of_pair(pair), number, 0);
    }
  }

  GuardedArray<Bf16Pair> row{length(pair_count(size)), guard}, other{length(pair_count(size)), guard};
  detail::round_row(d.data(), size, other.data());
  const float product_sum = round_scaled_row(x.data(), 0.5f, opaque(size), row.data(), other.data());
  double expected = 0;
  for (Index i = 0; i < size; ++i) {
    const double number = plainly_rounded(0.5 * at(x, 0, i));
    checks.close("a number times a factor", static_cast<double>(detail::number_at(row.data(), i)), number, 0);
    expected += number * plainly_rounded(at(d, 0, i));
  }
  checks.close("the sum of products", static_cast<double>(product_sum), expected, 4e-7 * static_cast<double>(size));
}

/// Two rows of scores, of which the upper one sees `count`.
void check_scores(KernelChecks& checks, Index count, Guard guard) {
  checks.at("scores of %ld keys", static_cast<long>(count));
  const Index size = padded<float>(count + 1), packets = size / detail::lanes<float>;
  GuardedArray<float> upper{length(size), guard}, lower{length(size), guard};
  GuardedArray<Bf16Pair> to_upper{length(size / 2), guard}, to_lower{length(size / 2), guard},
      columns{length(size), guard}, d_columns{length(size), guard};
  PlainNumbers numbers{static_cast<std::uint64_t>(count)};
  for (auto* array : {&upper, &lower}) numbers.fill(*array);
  for (Index i = count; i < size; ++i) upper[length(i)] = 99;  // must not count
  for (Index i = count + 1; i < size; ++i) lower[length(i)] = 99;

  const auto inverse =
      round_exponentials({upper.data(), lower.data()}, opaque(count), opaque(size), 2.0f,
                         {to_upper.data(), to_lower.data()}, [&](Index i) { return columns.data() + i; });

  const auto check_row = [&](const GuardedArray<float>& x, const GuardedArray<Bf16Pair>& row, Index seen, double got,
                             bool is_lower) {
    float most = -9;
    for (Index i = 0; i < seen; ++i) most = std::max(most, x[length(i)]);
    double total = 0;
    for (Index i = 0; i < size; ++i) {
      const double e = i < seen ? std::exp(2 * (static_cast<double>(x[length(i)]) - static_cast<double>(most))) : 0;
      total += e;
      const double number = static_cast<double>(detail::number_at(row.data(), i));
      checks.close("an exponential", number, e, e * (ulp + 2e-4));
      const Bf16Pair pair = columns[length(i)];
      checks.close("a column's exponential", is_lower ? second_of_pair(pair) : first_of_pair(pair), number, 0);
    }
    checks.close("1 / their sum", got, 1 / total, 2e-4 / total);
  };
  check_row(upper, to_upper, count, static_cast<double>(inverse[0]), false);
  check_row(lower, to_lower, count + 1, static_cast<double>(inverse[1]), true);

  numbers.fill(upper);
  numbers.fill(lower);
  round_score_derivatives(
      {upper.data(), lower.data()}, {0.25f, -0.5f}, opaque(size), 0.5f, [&](Index i) { return columns.data() + i; },
      {to_upper.data(), to_lower.data()}, [&](Index i) { return d_columns.data() + i; });
  for (Index i = 0; i < packets * detail::lanes<float>; ++i) {
    const Bf16Pair p = columns[length(i)], d = d_columns[length(i)];
    const double above = first_of_pair(p) * (static_cast<double>(upper[length(i)]) - 0.25) * 0.5,
                 below = second_of_pair(p) * (static_cast<double>(lower[length(i)]) + 0.5) * 0.5;
    checks.close("a derivative", first_of_pair(d), above, std::abs(above) * ulp + 1e-6);
    checks.close("a derivative below", second_of_pair(d), below, std::abs(below) * ulp + 1e-6);
    checks.close("a row's derivative", static_cast<double>(detail::number_at(to_upper.data(), i)), first_of_pair(d), 0);
    checks.close("a row's derivative below", static_cast<double>(detail::number_at(to_lower.data(), i)),
                 second_of_pair(d), 0);
  }
}

}  // namespace

int main() {
  KernelChecks checks{"rounding"};
  check_numbers(checks);
  for (const Guard guard : {Guard::behind, Guard::before}) {
    for (Index n = 1; n <= 130; ++n) {
      check_rows(checks, 0, 3, n, guard);
      check_rows(checks, 4, n, 5, guard);
      check_scores(checks, n, guard);
    }
  }
  return checks.finish();
}
