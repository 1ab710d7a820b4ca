// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/math/row_kernels.hpp>

#include <cstddef>
#include <limits>
#include <vector>

#include "support/guard_malloc.hpp"
#include "support/guard_pages.hpp"
#include "support/kernel_checks.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

template <typename S>
constexpr double precision = sizeof(S) == 4 ? 1.2e-7 : 2.3e-16;

template <typename S>
std::vector<double> plain(const GuardedArray<S>& array) {
  std::vector<double> values;
  for (const S value : array) values.push_back(static_cast<double>(value));
  return values;
}

template <typename S>
void check_softmax(KernelChecks& checks, Index count, Guard guard) {
  const Index all = padded<S>(count);
  GuardedArray<S> x{length(all), guard}, p{length(all), guard}, d{length(all), guard};
  PlainNumbers numbers{static_cast<std::uint64_t>(count)};
  for (auto* array : {&x, &d}) numbers.fill(*array);
  for (Index i = count; i < all; ++i) x[length(i)] = S(99);  // must not count
  std::copy(x.begin(), x.end(), p.begin());
  const std::vector<double> scores = plain(x), dp = plain(d);

  softmax_row<S>(p.data(), opaque(count), opaque(all), S(7));

  double total = 0;
  for (Index i = 0; i < count; ++i) total += std::exp(7 * scores[length(i)]);
  for (Index i = 0; i < all; ++i) {
    const double expected = i < count ? std::exp(7 * scores[length(i)]) / total : 0;
    checks.close("a probability", static_cast<double>(p[length(i)]), expected, 40 * precision<S> * expected);
  }
  softmax_row_backward<S>(p.data(), opaque(all), S(0.5), S(0.25), d.data());
  for (Index i = 0; i < all; ++i) {
    checks.close("a score's derivative", static_cast<double>(d[length(i)]),
                 static_cast<double>(p[length(i)]) * 0.5 * (dp[length(i)] - 0.25), 4 * precision<S>);
  }
}

template <typename S>
void check_gelu(KernelChecks& checks, Index size, Guard guard) {
  GuardedArray<S> y{length(size), guard}, slope{length(size), guard};
  PlainNumbers{static_cast<std::uint64_t>(size)}.fill(y);
  for (S& value : y) value *= S(6);
  const std::vector<double> x = plain(y);

  gelu_row<S>(y.data(), slope.data(), opaque(size));

  for (std::size_t i = 0; i < x.size(); ++i) {
    checks.close("GELU", static_cast<double>(y[i]), plain_gelu(x[i]), 30 * precision<S>);
    checks.close("GELU's slope", static_cast<double>(slope[i]), plain_gelu_slope(x[i]), 60 * precision<S>);
  }
}

template <typename S>
void check_norm(KernelChecks& checks, Index size, Guard guard) {
  const auto array = [&] { return GuardedArray<S>{length(size), guard}; };
  GuardedArray<S> x = array(), gain = array(), bias = array(), x_hat = array(), y = array(), dy = array(),
                  dgain = array(), dbias = array(), dx = array();
  PlainNumbers numbers{static_cast<std::uint64_t>(size)};
  for (auto* each : {&x, &gain, &bias, &dy, &dgain, &dbias, &dx}) numbers.fill(*each);
  const std::vector<double> old_dgain = plain(dgain), old_dbias = plain(dbias), old_dx = plain(dx);
  const auto n = static_cast<double>(size);
  double mean = 0, variance = 0;
  for (const S v : x) mean += static_cast<double>(v) / n;
  for (const S v : x) variance += (static_cast<double>(v) - mean) * (static_cast<double>(v) - mean) / n;
  const double inverse = 1 / std::sqrt(variance + 1e-5), tolerance = 30 * precision<S> * (1 + inverse);

  const S got = normalize_row<S>(x.data(), gain.data(), bias.data(), opaque(size), S(1e-5), x_hat.data(), y.data());

  checks.close("1 / stddev", static_cast<double>(got), inverse, tolerance * inverse);
  double mean_g = 0, mean_gx = 0;
  for (std::size_t i = 0; i < length(size); ++i) {
    const double hat = (static_cast<double>(x[i]) - mean) * inverse, g = static_cast<double>(dy[i] * gain[i]);
    checks.close("a normalized number", static_cast<double>(x_hat[i]), hat, tolerance);
    checks.close("a scaled number", static_cast<double>(y[i]),
                 static_cast<double>(gain[i]) * hat + static_cast<double>(bias[i]), tolerance);
    mean_g += g / n;
    mean_gx += g * hat / n;
  }
  for (const bool add : {true, false}) {
    normalize_row_backward<S>(dy.data(), x_hat.data(), got, gain.data(), opaque(size), dgain.data(), dbias.data(),
                              dx.data(), add);
    for (std::size_t i = 0; i < length(size); ++i) {
      const double hat = (static_cast<double>(x[i]) - mean) * inverse, times = add ? 1 : 2,
                   g = static_cast<double>(dy[i]) * static_cast<double>(gain[i]);
      checks.close("dx", static_cast<double>(dx[i]), (add ? old_dx[i] : 0) + (g - mean_g - hat * mean_gx) * inverse,
                   4 * tolerance * (1 + inverse));
      checks.close("dgain", static_cast<double>(dgain[i]), old_dgain[i] + times * static_cast<double>(dy[i]) * hat,
                   2 * tolerance);
      checks.close("dbias", static_cast<double>(dbias[i]), old_dbias[i] + times * static_cast<double>(dy[i]),
                   4 * precision<S>);
    }
  }
}

template <typename S>
void check_sums(KernelChecks& checks, Index size, Guard guard) {
  constexpr Index rows = 3;
  GuardedArray<S> a{length(size), guard}, b{length(size), guard}, x{length(rows * size), guard};
  PlainNumbers numbers{static_cast<std::uint64_t>(size)};
  for (auto* array : {&a, &b, &x}) numbers.fill(*array);
  double expected = 0;
  for (std::size_t i = 0; i < length(size); ++i) expected += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  checks.close("a dot product", static_cast<double>(dot<S>(a.data(), b.data(), opaque(size))), expected,
               precision<S> * static_cast<double>(size));

  RowVector<S> total = RowVector<S>::Ones(size);
  add_column_sums<S>(Eigen::Map<const Matrix<S>>{x.data(), rows, size}, total);
  for (Index i = 0; i < size; ++i) {
    double sum = 1;
    for (Index r = 0; r < rows; ++r) sum += static_cast<double>(x[length(r * size + i)]);
    checks.close("a column's sum", static_cast<double>(total(i)), sum, 4 * precision<S>);
  }
}

template <typename S>
void check_exponential(KernelChecks& checks) {
  checks.at("%zu bytes, exponential", sizeof(S));
  const auto at = [](S x) { return static_cast<double>(detail::exp(detail::broadcast(opaque(x)))[0]); };
  for (S x = S(-86); x < S(87); x += S(0.0731)) {
    const double expected = std::exp(static_cast<double>(x));
    checks.close("e^x", at(x), expected, 2 * precision<S> * expected);
  }
  checks.close("e^0", at(0), 1, 0);
  checks.close("e^-inf", at(-std::numeric_limits<S>::infinity()), 0, 0);
  checks.is_true("e^NaN is NaN", std::isnan(at(std::numeric_limits<S>::quiet_NaN())));
}

template <typename S>
void check_all(KernelChecks& checks) {
  check_exponential<S>(checks);
  for (const Guard guard : {Guard::behind, Guard::before}) {
    for (Index size = 1; size <= 130; ++size) {
      checks.at("%zu bytes, %ld numbers", sizeof(S), static_cast<long>(size));
      check_softmax<S>(checks, size, guard);
      check_gelu<S>(checks, size, guard);
      check_norm<S>(checks, size, guard);
      check_sums<S>(checks, size, guard);
    }
  }
}

}  // namespace

int main() {
  KernelChecks checks{"rows"};
  check_all<float>(checks);
  check_all<double>(checks);
  return checks.finish();
}
