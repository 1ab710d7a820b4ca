// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/gptq.hpp>

#include <cmath>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradient.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// Inputs that depend on each other: (tokens, in) from a third as many causes.
Matrix<double> correlated_inputs(Index tokens, Index in) {
  Rng rng{8};
  return random_matrix(tokens, in / 3, rng) * random_matrix(in / 3, in, rng) + 0.2 * random_matrix(tokens, in, rng);
}

Matrix<float> gptq_weights(Index in, Index out) {
  Rng rng{4};
  Matrix<float> weight(in, out);
  fill_normal(weight, 0.2, rng);
  return weight;
}

double output_error(const Matrix<double>& x, const Matrix<float>& weight, const QuantizedMatrix& matrix) {
  return (x * (weight - dequantized(matrix)).cast<double>()).squaredNorm();
}

}  // namespace

TEST_CASE("The triangular factor of an inverse gives the inverse", "[compress]") {
  const Matrix<double> x = correlated_inputs(40, 9), h = x.transpose() * x;
  Matrix<double> upper = h;
  REQUIRE(detail::invert_to_upper(upper));
  CHECK((upper.transpose() * upper * h - Matrix<double>::Identity(9, 9)).norm() < 1e-9);
  for (Index i = 0; i < 9; ++i) {
    CHECK(upper(i, i) > 0);
    for (Index j = 0; j < i; ++j) CHECK(upper(i, j) == 0);
  }
  Matrix<double> singular = Matrix<double>::Ones(3, 3);
  CHECK(!detail::invert_to_upper(singular));
}

TEST_CASE("GPTQ makes up for an error as least squares would", "[compress]") {
  // Two inputs in one group of 8 bits, one output: the first is rounded to its grid, and what the second should become
  // follows from the normal equations with the first one held fixed.
  const Matrix<double> x{{1.0, 0.9}, {-0.5, -0.4}, {0.3, 0.1}, {-0.2, 0.4}}, h = x.transpose() * x;
  const Matrix<float> weight{{0.83f}, {-0.41f}};
  const QuantizedMatrix matrix = round_by_gptq(weight, h, {8, 32}, 0);
  const double scale = static_cast<double>(matrix.scales[0]);
  const double first = static_cast<double>(matrix.codes[0]) * scale;
  CHECK(std::abs(first - 0.83) <= scale / 2 * 1.001);
  const double second = -0.41 - h(1, 0) / h(1, 1) * (first - static_cast<double>(weight(0, 0)));
  CHECK(std::abs(static_cast<double>(matrix.codes[1]) * scale - second) <= scale / 2 * 1.001);
}

TEST_CASE("With inputs that do not depend on each other GPTQ rounds to the nearest", "[compress]") {
  const Matrix<float> weight = gptq_weights(40, 5);
  const Matrix<double> identity = Matrix<double>::Identity(40, 40);
  for (const int bits : {8, 4, 3, 2}) {
    const WeightFormat format{bits, 16};
    const QuantizedMatrix nearest =
        encode_weights(weight, search_scales(weight, RowVector<float>::Ones(40), format), format);
    const QuantizedMatrix matrix = round_by_gptq(weight, identity, format, 0.01);
    CHECK(matrix.codes == nearest.codes);
    CHECK(matrix.group_scales == nearest.group_scales);
    CHECK(matrix.scales == nearest.scales);
  }
}

TEST_CASE("With inputs that depend on each other GPTQ leaves a fraction of the outputs' error", "[compress]") {
  const Matrix<double> x = correlated_inputs(200, 60), h = x.transpose() * x;
  const Matrix<float> weight = gptq_weights(60, 12);
  for (const int bits : {8, 4, 3, 2}) {
    const WeightFormat format{bits, 32};
    const QuantizedMatrix nearest =
        encode_weights(weight, search_scales(weight, RowVector<float>::Ones(60), format), format);
    const QuantizedMatrix matrix = round_by_gptq(weight, h, format, 0.01);
    validate(matrix, "map");
    INFO(bits << " bits: " << output_error(x, weight, nearest) << ", GPTQ " << output_error(x, weight, matrix));
    CHECK(output_error(x, weight, matrix) < 0.4 * output_error(x, weight, nearest));
  }
}

TEST_CASE("GPTQ takes inputs that were always zero, and refuses singular second moments", "[compress]") {
  Matrix<double> x = correlated_inputs(50, 12);
  x.col(3).setZero();
  const Matrix<double> h = x.transpose() * x;
  const Matrix<float> weight = gptq_weights(12, 4);
  const QuantizedMatrix matrix = round_by_gptq(weight, h, {4, 32}, 0.01);
  validate(matrix, "map");
  CHECK((dequantized(matrix) - weight).row(3).cwiseAbs().maxCoeff<Eigen::PropagateNaN>() < 0.06f);
  validate(round_by_gptq(weight, Matrix<double>::Zero(12, 12), {4, 32}, 0.01), "map");
  CHECK(has(error_of([&] { (void)round_by_gptq(weight, h, {4, 32}, 0); }), "second moments of 12 inputs are singular"));
}
