// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/weight_groups.hpp>

#include <cmath>
#include <cstddef>
#include <limits>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradient.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

Matrix<float> random_weights(Index in, Index out, std::uint64_t seed = 3) {
  Rng rng{seed};
  Matrix<float> weight(in, out);
  fill_normal(weight, 0.2, rng);
  return weight;
}

WeightScales<float> covering_scales(const Matrix<float>& weight, const WeightFormat& format) {
  Matrix<float> steps;
  covering_steps(weight, format, steps);
  WeightScales<float> scales;
  split_steps(steps, format, scales);
  return scales;
}

}  // namespace

TEST_CASE("A weight gets the nearest of all codes", "[compress]") {
  for (const int bits : {8, 4, 3, 2}) {
    const CodeRange range = code_range(bits);
    const detail::CodeNumbers<float> floats{range};
    const detail::CodeNumbers<double> doubles{range};
    for (double x = -140; x <= 140; x += bits == 8 ? 0.37 : 0.0137) {
      double least = 1e9;
      for (int code = range.min; code <= range.max; code += range.step) least = std::min(least, std::abs(x - code));
      const auto found = static_cast<int>(doubles.nearest(x));
      CHECK(range.has(found));
      CHECK(std::abs(x - found) == Approx(least).margin(1e-12));
      CHECK(range.has(static_cast<int>(floats.nearest(static_cast<float>(x)))));
    }
  }
}

TEST_CASE("Scales of a group are integers within reach, and the widest group has the largest", "[compress]") {
  for (const int bits : {4, 3, 2}) {
    const WeightFormat format{bits, 8};
    Matrix<float> weight = random_weights(21, 6);
    weight.topRows(8) *= 10;
    const WeightScales<float> scales = covering_scales(weight, format);
    const int most = code_range(bits).max_group_scale;
    REQUIRE(scales.group_scales.rows() == 3);  // 8, 8 and 5 inputs
    for (Index o = 0; o < 6; ++o) {
      CHECK(scales.group_scales(0, o) == static_cast<float>(most));
      for (Index k = 0; k < 3; ++k) {
        const float g = scales.group_scales(k, o);
        CHECK(g == std::round(g));
        CHECK(g >= 1);
        CHECK(g <= static_cast<float>(most));
      }
    }
  }
}

TEST_CASE("The covering step of a group reaches its largest weight", "[compress]") {
  const Matrix<float> weight{{0.7f, -0.1f}, {-0.2f, 0.8f}, {0.1f, 0}, {0.3f, 0}};
  Matrix<float> steps;
  covering_steps(weight, {4, 2}, steps);
  CHECK(steps(0, 0) == Approx(0.1f));  // 0.7 / 7
  CHECK(steps(0, 1) == Approx(0.8f / 7));
  CHECK(steps(1, 0) == Approx(0.3f / 7));
  CHECK(steps(1, 1) == 0);
  const Matrix<float> negative = -weight;
  covering_steps(negative, {4, 2}, steps);
  CHECK(steps(0, 0) == Approx(0.7f / 8));  // codes go down to -8
  covering_steps(weight, {8, 2}, steps);
  REQUIRE(steps.rows() == 1);  // 8 bits have no groups
  CHECK(steps(0, 1) == Approx(0.8f / 127));
}

TEST_CASE("An encoded matrix is valid, has the weights that rounding gives, and errs by half a step", "[compress]") {
  for (const int bits : {8, 4, 3, 2}) {
    for (const Index group : {1, 8, 32, 100}) {
      const WeightFormat format{bits, group};
      const Matrix<float> weight = random_weights(45, 7);
      const WeightScales<float> scales = covering_scales(weight, format);
      const QuantizedMatrix matrix = encode_weights(weight, scales, format);
      validate(matrix, "map");
      CHECK(matrix.group == (bits == 8 ? 0 : group));

      RowVector<float> inverse;
      Matrix<float> rounded;
      round_weights(weight, scales, format, inverse, rounded);
      CHECK(rounded == dequantized(matrix));
      const CodeRange range = code_range(bits);
      for (Index i = 0; i < 45; ++i) {
        for (Index o = 0; o < 7; ++o) {
          const float step = scales.step(i / format.group_size(45), o), w = weight(i, o);
          if (w < static_cast<float>(range.min) * step || w > static_cast<float>(range.max) * step) continue;
          CHECK(std::abs(rounded(i, o) - w) <= 0.5001f * static_cast<float>(range.step) * step);
        }
      }
    }
  }
}

TEST_CASE("Weights of nothing but zeros, and tiny ones, have finite codes", "[compress]") {
  Matrix<float> weight = Matrix<float>::Zero(4, 3);
  weight(1, 1) = std::numeric_limits<float>::denorm_min();
  weight(2, 2) = 1e-38f;
  for (const int bits : {8, 4, 3, 2}) {
    const QuantizedMatrix matrix = encode_weights(weight, covering_scales(weight, {bits, 2}), {bits, 2});
    validate(matrix, "map");
    for (Index i = 0; i < 4; ++i) CHECK(matrix.weight(i, 0) == 0);
    CHECK(dequantized(matrix).cwiseAbs().maxCoeff<Eigen::PropagateNaN>() < 2e-38f);
  }
}

TEST_CASE("A format of no width or no group is refused", "[compress]") {
  CHECK(has(error_of([] { validate(WeightFormat{5, 32}); }), "bits is 5"));
  CHECK(has(error_of([] { validate(WeightFormat{4, 0}); }), "group is 0"));
}
