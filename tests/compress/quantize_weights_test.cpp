// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/quantize_weights.hpp>

#include <limits>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradient.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// A map and inputs of it that depend on each other.
struct MapAndInputs {
  Linear<float> map{48, 10};
  Matrix<float> x{300, 48};
  InputStatistics inputs{48};

  MapAndInputs() {
    Rng rng{6};
    fill_normal(map.weight, 0.2, rng);
    const Matrix<double> causes = random_matrix(300, 10, rng), mix = random_matrix(10, 48, rng);
    x = (causes * mix + 0.3 * random_matrix(300, 48, rng)).cast<float>();
    inputs.add(x);
  }
  [[nodiscard]] double output_error(const QuantizedMatrix& m) const {
    const Matrix<float> difference = map.weight - dequantized(m);
    return (x * difference).squaredNorm() / (x * map.weight).squaredNorm();
  }
};

}  // namespace

TEST_CASE("Each way of rounding leaves less error of the outputs than the one before", "[compress]") {
  const MapAndInputs c;
  for (const int bits : {4, 3, 2}) {
    double before = 1;
    for (const Rounding rounding : {Rounding::nearest, Rounding::searched, Rounding::gptq}) {
      const QuantizedMatrix matrix = quantize(c.map, {.bits = bits, .rounding = rounding}, &c.inputs);
      validate(matrix, "map");
      CHECK(matrix.bits == bits);
      CHECK(matrix.group == 32);
      const double error = c.output_error(matrix);
      INFO(bits << " bits, " << to_string(rounding) << ": " << error << " after " << before);
      CHECK(error < before);
      before = error;
    }
    const QuantizedMatrix plain =
        quantize(c.map, {.bits = bits, .rounding = Rounding::gptq, .refinements = 0}, &c.inputs);
    CHECK(before < c.output_error(plain));
  }
}

TEST_CASE("The error that is told is that of the weights and of the outputs", "[compress]") {
  const MapAndInputs c;
  const QuantizedMatrix matrix = quantize(c.map, {.bits = 3, .rounding = Rounding::nearest});
  const RoundingError error = rounding_error(c.map.weight, matrix, &c.inputs);
  CHECK(error.outputs == Approx(c.output_error(matrix)).epsilon(1e-3));
  CHECK(error.weights ==
        Approx((c.map.weight - dequantized(matrix)).squaredNorm() / c.map.weight.squaredNorm()).epsilon(1e-4));
  CHECK(rounding_error(c.map.weight, matrix).outputs == 0);
}

TEST_CASE("Weights of inputs that calibration never saw are rounded with care, too", "[compress]") {
  MapAndInputs c;
  c.x.rightCols(16).setZero();  // a group of its own
  InputStatistics inputs{48};
  inputs.add(c.x);
  for (const Rounding rounding : {Rounding::nearest, Rounding::searched, Rounding::gptq}) {
    const QuantizedMatrix matrix = quantize(c.map, {.bits = 3, .rounding = rounding}, &inputs);
    INFO(to_string(rounding));
    const Matrix<float> left = (dequantized(matrix) - c.map.weight).bottomRows(16);
    CHECK(left.squaredNorm() < 0.06f * c.map.weight.bottomRows(16).squaredNorm());
  }
}

TEST_CASE("Eight bits leave hardly an error whatever the rounding", "[compress]") {
  const MapAndInputs c;
  for (const Rounding rounding : {Rounding::nearest, Rounding::searched, Rounding::gptq}) {
    const QuantizedMatrix matrix = quantize(c.map, {.rounding = rounding}, &c.inputs);
    validate(matrix, "map");
    CHECK(matrix.group == 0);
    CHECK(c.output_error(matrix) < 1e-4);
  }
}

TEST_CASE("What cannot be quantized is refused with its reason", "[compress]") {
  MapAndInputs c;
  const auto error_with = [&](const WeightQuantization& how, const InputStatistics* inputs) {
    return error_of([&] { (void)quantize(c.map, how, inputs); });
  };
  CHECK(has(error_with({.bits = 6}, nullptr), "bits is 6"));
  CHECK(has(error_with({.bits = 4, .group = 0}, nullptr), "group is 0"));
  CHECK(has(error_with({.damping = -1}, nullptr), "damping is -1"));
  CHECK(has(error_with({.refinements = -1}, nullptr), "refinements is -1"));
  CHECK(has(error_with({.rounding = Rounding::gptq}, nullptr), "GPTQ needs calibration data"));
  const InputStatistics other{5}, empty{48};
  CHECK(has(error_with({}, &other), "the calibration has 5 inputs, but the linear layer has 48"));
  CHECK(has(error_with({}, &empty), "calibration of the linear layer is empty"));
  c.map.weight(3, 3) = std::numeric_limits<float>::infinity();
  CHECK(has(error_with({}, nullptr), "not finite"));
}
