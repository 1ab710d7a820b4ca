// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/math/row_kernels.hpp>

#include <cmath>
#include <vector>

#include "support/catch.hpp"

using namespace icrl;

namespace {

float exp_of(float x) { return detail::exp(detail::broadcast(x))[0]; }

}  // namespace

TEST_CASE("The vectorised exponential is within two units in the last place", "[math]") {
  double worst = 0;
  for (float x = -86.0f; x < 87.0f; x += 0.00731f) {
    const double expected = std::exp(static_cast<double>(x));
    const double error = std::abs(static_cast<double>(exp_of(x)) - expected) / expected;
    if (!(error <= worst) && !std::isnan(worst)) worst = error;  // NaN is the worst
  }

  CHECK(worst < 2.4e-7);
  CHECK(exp_of(0.0f) == 1.0f);
  CHECK(exp_of(-std::numeric_limits<float>::infinity()) == 0.0f);
  CHECK(std::isnan(exp_of(std::numeric_limits<float>::quiet_NaN())));
}

TEMPLATE_TEST_CASE("Softmax sums to one over the counted numbers and gives the rest nothing", "[math]", float, double) {
  using S = TestType;
  for (const Index count : {1, 7, 16, 31}) {
    const Index padded_count = padded<S>(count) + padded<S>(1);
    std::vector<S> x(static_cast<std::size_t>(padded_count), S(99));
    for (Index i = 0; i < count; ++i) x[static_cast<std::size_t>(i)] = static_cast<S>(i) * S(0.3) - S(50);

    softmax_row<S>(x.data(), count, padded_count, S(2));

    S total = 0;
    for (Index i = 0; i < padded_count; ++i) {
      if (i >= count) CHECK(x[static_cast<std::size_t>(i)] == S(0));
      total += x[static_cast<std::size_t>(i)];
    }
    CHECK(std::abs(total - S(1)) < S(1e-6));
    if (count > 1) CHECK(std::abs(x[1] / x[0] - std::exp(S(0.6))) < S(1e-5));
  }
}

TEMPLATE_TEST_CASE("The largest of numbers beyond any exponent share softmax equally", "[math]", float, double) {
  using S = TestType;
  for (const S most : {S(1e10), S(-1e10), S(1e30)}) {
    std::vector<S> x(static_cast<std::size_t>(padded<S>(7)), most - std::abs(most) / 2);
    for (const std::size_t i : {1u, 2u, 4u, 6u}) x[i] = most;
    softmax_row<S>(x.data(), 7, padded<S>(7), S(1) / std::sqrt(S(3)));
    for (const std::size_t i : {1u, 2u, 4u, 6u}) CHECK(x[i] == S(0.25));
  }
}

TEST_CASE("GELU and its slope agree with the tanh formula", "[math]") {
  std::vector<double> y, slope(43);
  for (int i = 0; i < 43; ++i) y.push_back(-6.0 + 0.29 * i);
  const std::vector<double> x = y;

  gelu_row<double>(y.data(), slope.data(), 43);

  const auto gelu = [](double v) {
    return 0.5 * v * (1 + std::tanh(std::sqrt(2 / 3.14159265358979323846) * (v + 0.044715 * v * v * v)));
  };
  for (std::size_t i = 0; i < x.size(); ++i) {
    CHECK(std::abs(y[i] - gelu(x[i])) < 1e-12);
    CHECK(std::abs(slope[i] - (gelu(x[i] + 1e-5) - gelu(x[i] - 1e-5)) / 2e-5) < 1e-9);
  }
}

TEST_CASE("A normalized row has mean zero and variance one before gain and bias", "[math]") {
  const std::vector<double> x{1, 2, 3, 4, -8, 0, 8, 16, 2.5}, gain(9, 1.0), bias(9, 0.0);
  std::vector<double> x_hat(9), y(9);

  normalize_row<double>(x.data(), gain.data(), bias.data(), 9, 1e-5, x_hat.data(), y.data());

  double mean = 0, square = 0;
  for (const double v : y) {
    mean += v / 9;
    square += v * v / 9;
  }
  CHECK(std::abs(mean) < 1e-12);
  CHECK(std::abs(square - 1) < 1e-5);
}

TEST_CASE("A row whose variance overflows is no row of zeros", "[math]") {
  for (const float size : {1e18f, 1e20f, 1e38f}) {
    const std::vector<float> x{size, -size, 2 * size, 0};
    std::vector<float> x_hat(4);
    const float inverse_stddev = standardise_row(x.data(), 4, 1e-5f, x_hat.data());
    CHECK(std::isnan(inverse_stddev) == (size > 1e19f));
    CHECK(std::isnan(x_hat[0]) == (size > 1e19f));
  }
}
