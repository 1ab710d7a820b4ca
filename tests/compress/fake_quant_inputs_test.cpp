// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/fake_quant_inputs.hpp>

#include <cmath>

#include "support/catch.hpp"
#include "support/gradient.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("Inputs are rounded token by token to 127 steps of their largest", "[compress]") {
  const Matrix<float> x{{0.5f, -1.27f, 0.012f}, {0, 0, 0}, {1e-3f, 2e-3f, -3e-3f}};
  Matrix<float> rounded(3, 3);
  round_inputs<float>(x, rounded);
  CHECK(rounded(0, 0) == Approx(0.5f));
  CHECK(rounded(0, 1) == -1.27f);
  CHECK(rounded(0, 2) == Approx(0.01f));  // 1.2 steps
  CHECK(rounded.row(1).isZero());
  CHECK(rounded(2, 2) == -3e-3f);
  CHECK(rounded(2, 0) == Approx(42 * 3e-3f / 127));  // 42.33 steps
}

TEST_CASE("Ties of inputs go to the even step, of both signs alike", "[compress]") {
  const Matrix<double> x{{127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5}};
  Matrix<double> rounded(1, 7);
  round_inputs<double>(x, rounded);
  CHECK(rounded == Matrix<double>{{127, 0, 2, 2, 0, -2, -2}});
}

TEST_CASE("A learned range cuts inputs, and its derivative is that of what it cut", "[compress]") {
  Rng rng{3};
  Matrix<double> x = random_matrix(4, 6, rng);
  x *= 3;
  const Matrix<double> dy = random_matrix(4, 6, rng);
  Matrix<double> rounded(4, 6), dx = dy;
  const double range = 2;
  clip_inputs<double>(x, range, rounded);
  double dlog_range = 0.25;
  clip_inputs_backward<double>(x, range, dx, dlog_range);

  double cut = 0;
  for (Index i = 0; i < x.size(); ++i) {
    const double inside = std::clamp(x.data()[i], -range, range);
    CHECK(std::abs(rounded.data()[i] - inside) <= range / 254 * (1 + 1e-12));
    CHECK(std::abs(rounded.data()[i] / (range / 127) - std::round(rounded.data()[i] / (range / 127))) < 1e-9);
    const bool is_cut = std::abs(x.data()[i]) >= range;
    CHECK(dx.data()[i] == (is_cut ? 0 : dy.data()[i]));
    if (is_cut) cut += dy.data()[i] * rounded.data()[i];
  }
  CHECK(cut != 0);
  CHECK(dlog_range - 0.25 == Approx(cut));  // a number that is cut is +- range: its derivative by log range is itself
}
