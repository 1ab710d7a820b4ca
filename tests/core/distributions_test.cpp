// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/core/distributions.hpp>

#include <cmath>
#include <utility>

#include "support/catch.hpp"

using namespace icrl;

namespace {

/// Mean, variance and third central moment of many draws.
struct Moments {
  double mean = 0, variance = 0, third = 0;
};
template <typename Draw>
Moments moments_of(int draws, Draw&& draw) {
  double first = 0, second = 0, third = 0;
  for (int i = 0; i < draws; ++i) {
    const double x = draw();
    first += x / draws;
    second += x * x / draws;
    third += x * x * x / draws;
  }
  return {first, second - first * first, third - 3 * first * second + 2 * first * first * first};
}

}  // namespace

TEST_CASE("Gamma numbers have the gamma distribution's moments", "[core]") {
  Rng rng{1};
  for (const double shape : {0.3, 0.9, 1.0, 2.5, 40.0}) {
    const double scale = 1.5;
    const Moments found = moments_of(200'000, [&] { return gamma_number(shape, scale, rng); });

    INFO("shape " << shape);
    CHECK(found.mean == Approx(shape * scale).epsilon(0.02));
    CHECK(found.variance == Approx(shape * scale * scale).epsilon(0.03));
    CHECK(found.third == Approx(2 * shape * scale * scale * scale).epsilon(0.2));
  }
}

TEST_CASE("Gamma numbers of shape 1 are exponential", "[core]") {
  Rng rng{2};
  const int draws = 100'000;
  int above = 0;
  for (int i = 0; i < draws; ++i) above += gamma_number(1, 2, rng) > 3;

  CHECK(static_cast<double>(above) / draws == Approx(std::exp(-1.5)).margin(0.005));
}

TEST_CASE("Beta numbers have the beta distribution's moments", "[core]") {
  Rng rng{3};
  for (const auto& [a, b] : {std::pair{1.0, 1.0}, {0.5, 0.5}, {2.0, 5.0}, {30.0, 3.0}, {0.2, 4.0}}) {
    const Moments found = moments_of(200'000, [&] { return beta_number(a, b, rng); });
    const double variance = a * b / ((a + b) * (a + b) * (a + b + 1));
    const double third = variance * 2 * (b - a) / ((a + b) * (a + b + 2));

    INFO("a " << a << ", b " << b);
    CHECK(found.mean == Approx(a / (a + b)).margin(4 * std::sqrt(variance / 200'000)));
    CHECK(found.variance == Approx(variance).epsilon(0.03));
    CHECK(found.third == Approx(third).margin(0.1 * std::pow(variance, 1.5)));
  }
}

TEST_CASE("Beta numbers of tiny shapes are numbers: nearly all at the ends", "[core]") {
  Rng rng{4};
  const int draws = 2000;
  int low = 0, high = 0;
  for (int i = 0; i < draws; ++i) {
    const double x = beta_number(1e-5, 3e-5, rng);
    REQUIRE((x >= 0 && x <= 1));
    low += x < 0.01;
    high += x > 0.99;
  }

  CHECK(low + high > 0.99 * draws);
  CHECK(static_cast<double>(high) / draws == Approx(0.25).margin(0.04));
}

TEST_CASE("Beta numbers of shapes that are too small for logarithms are 0 or 1", "[core]") {
  Rng rng{6};
  int high = 0;
  for (int i = 0; i < 2000; ++i) {
    const double x = beta_number(1e-310, 3e-310, rng);
    REQUIRE((x == 0 || x == 1));
    high += x == 1;
  }
  CHECK(high / 2000.0 == Approx(0.25).margin(0.04));
}

TEST_CASE("The same generator gives the same gamma and beta numbers", "[core]") {
  Rng one{5}, other{5};

  CHECK(gamma_number(0.7, 1, one) == gamma_number(0.7, 1, other));
  CHECK(beta_number(3, 4, one) == beta_number(3, 4, other));
  CHECK(one.state() == other.state());
}
