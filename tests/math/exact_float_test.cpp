// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/math/exact_float.hpp>

#include <cmath>
#include <limits>

#include <icrl/core/rng.hpp>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

using namespace icrl;
using namespace icrl::detail;

TEST_CASE("A product is rounded before it goes into a sum", "[math]") {
  // (1 + 2^-12)^2 = 1 + 2^-11 + 2^-24, of which a float keeps the first two.
  const float a = test::opaque(1.0f + 0x1p-12f), rest = test::opaque(-(1.0f + 0x1p-11f));

  CHECK(exact_product(a, a) + rest == 0.0f);
  CHECK(std::fma(a, a, rest) == 0x1p-24f);
}

TEST_CASE("Numbers are rounded to the nearest whole one, ties to even", "[math]") {
  for (const float value : {0.0f, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -126.6f, 126.49f, 32767.0f, -32766.5f})
    CHECK(exact_round(value) == static_cast<int>(std::nearbyint(value)));
}

TEST_CASE("Powers of 2 are within 3e-7", "[math]") {
  Rng rng{1};
  for (int i = 0; i < 20000; ++i) {
    const auto x = static_cast<float>(252 * rng.uniform() - 126);
    CHECK(std::abs(static_cast<double>(exact_exp2(x)) / std::exp2(static_cast<double>(x)) - 1) < 3e-7);
  }
  CHECK(exact_exp2(0.0f) == 1);
  CHECK(exact_exp2(-5.0f) == 0x1p-5f);
  CHECK(exact_exp2(-std::numeric_limits<float>::infinity()) == 0x1p-126f);
  CHECK(exact_exp2(500.0f) == 0x1p126f);
  CHECK(std::isnan(exact_exp2(std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("GELU is that of its tanh form", "[math]") {
  Rng rng{2};
  for (int i = 0; i < 5000; ++i) {
    const auto x = static_cast<float>(4 * rng.normal());
    CHECK(std::abs(static_cast<double>(exact_gelu(x)) - test::plain_gelu(static_cast<double>(x))) < 2e-6);
  }
  CHECK(exact_gelu(0) == 0);
  CHECK(exact_gelu(1e20f) == 1e20f);
  CHECK(std::abs(exact_gelu(-1e20f)) < 1e-17f);
}
