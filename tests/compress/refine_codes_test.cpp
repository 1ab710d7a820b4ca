// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/refine_codes.hpp>

#include <limits>

#include "support/catch.hpp"
#include "support/gradient.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

struct RefineCase {
  Matrix<double> x;
  Matrix<float> weight{6, 4};
  QuantizedMatrix matrix;

  explicit RefineCase(int bits) {
    Rng rng{bits == 2 ? 11u : 12u};
    x = random_matrix(30, 2, rng) * random_matrix(2, 6, rng) + 0.3 * random_matrix(30, 6, rng);
    fill_normal(weight, 0.3, rng);
    const WeightFormat format{bits, 4};
    Matrix<float> steps;
    covering_steps(weight, format, steps);
    WeightScales<float> scales;
    split_steps(steps, format, scales);
    matrix = encode_weights(weight, scales, format);
  }
  [[nodiscard]] double error(const QuantizedMatrix& m) const {
    return (x * (weight - dequantized(m)).cast<double>()).squaredNorm();
  }
  [[nodiscard]] Matrix<double> moments() const { return x.transpose() * x; }
};

}  // namespace

TEST_CASE("Refined codes leave less error, until no single code can be changed for the better", "[compress]") {
  for (const int bits : {8, 4, 3, 2}) {
    RefineCase c{bits};
    double before = c.error(c.matrix);
    int passes = 0;
    while (refine_codes(c.weight, c.moments(), c.matrix) > 0) {
      REQUIRE(++passes < 50);
      validate(c.matrix, "map");
      CHECK(c.error(c.matrix) < before);
      before = c.error(c.matrix);
    }
    CHECK(passes > 0);
    const CodeRange range = code_range(bits);
    for (std::size_t i = 0; i < c.matrix.codes.size(); ++i) {
      QuantizedMatrix other = c.matrix;
      for (int code = range.min; code <= range.max; code += range.step) {
        other.codes[i] = static_cast<std::int8_t>(code);
        CHECK(c.error(other) >= before * (1 - 1e-6));
      }
    }
  }
}

TEST_CASE("A refitted scale is the best one of its output", "[compress]") {
  RefineCase c{3};
  const double before = c.error(c.matrix);
  refit_scales(c.weight, c.moments(), c.matrix);
  const double after = c.error(c.matrix);
  CHECK(after < before);
  for (std::size_t o = 0; o < 4; ++o) {
    for (const float factor : {0.98f, 1.02f}) {
      QuantizedMatrix other = c.matrix;
      other.scales[o] *= factor;
      CHECK(c.error(other) > after);
    }
  }
}

TEST_CASE("Inputs that were never there change nothing", "[compress]") {
  RefineCase c{4};
  const QuantizedMatrix before = c.matrix;
  const Matrix<double> none = Matrix<double>::Zero(6, 6);
  CHECK(refine_codes(c.weight, none, c.matrix) == 0);
  refit_scales(c.weight, none, c.matrix);
  CHECK(c.matrix.codes == before.codes);
  CHECK(c.matrix.scales == before.scales);
}
