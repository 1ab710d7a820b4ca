// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <string>

#include <icrl/compress/calibration.hpp>
#include <icrl/compress/gptq.hpp>
#include <icrl/compress/quantized_matrix.hpp>
#include <icrl/compress/refine_codes.hpp>
#include <icrl/compress/step_search.hpp>
#include <icrl/nn/linear.hpp>

namespace icrl {

/// How the codes of weights are chosen.
enum class Rounding {
  nearest,   ///< steps that cut off no weight
  searched,  ///< steps of the least squared error, weighted by the inputs' mean squares where inputs are given
  gptq       ///< the same, and weights make up for each other's errors; needs inputs
};

/// "nearest", "searched" or "gptq".
[[nodiscard]] inline const char* to_string(Rounding rounding) {
  switch (rounding) {
    case Rounding::nearest:
      return "nearest";
    case Rounding::searched:
      return "searched";
    case Rounding::gptq:
      return "gptq";
  }
  return "?";
}

/// How the weights of a linear map are quantized.
struct WeightQuantization {
  int bits = 8;                            ///< 8, 4, 3 or 2
  Rounding rounding = Rounding::searched;  ///< how codes are chosen
  Index group = 32;                        ///< inputs per group scale, of fewer than 8 bits
  double damping = 0.01;                   ///< share of the inputs' mean square that is added to that of each
  int refinements = 4;                     ///< of GPTQ: most passes over its codes once all are there (refine_codes)

  /// Bits and group, without how codes are chosen.
  [[nodiscard]] WeightFormat format() const { return {bits, group}; }
};

/// Throws Error naming the first invalid value.
inline void validate(const WeightQuantization& how) {
  validate(how.format());
  if (!(how.damping >= 0 && how.damping <= 1)) fail("quantize: damping is {}, it must lie in 0 .. 1", how.damping);
  if (how.refinements < 0) fail("quantize: refinements is {}, it must not be negative", how.refinements);
}

namespace detail {

/// Adds a share of the mean of the diagonal to the diagonal, so that weights of inputs that calibration hardly saw stay
/// near their values.
[[nodiscard]] inline Matrix<double> damped(Matrix<double> second_moments, double damping) {
  second_moments.diagonal().array() += damping * second_moments.diagonal().mean();
  return second_moments;
}

}  // namespace detail

/// The rounded weights of a map. `inputs` are the calibration of the map's inputs, or null. Throws Error if weights are
/// not finite, or if GPTQ has no calibration.
[[nodiscard]] inline QuantizedMatrix quantize(const Linear<float>& map, const WeightQuantization& how,
                                              const InputStatistics* inputs = nullptr) {
  validate(how);
  const Matrix<float>& weight = map.weight;
  const WeightFormat format = how.format();
  if (!weight.allFinite()) fail("quantize: weights are not finite (did training diverge?)");
  if (inputs != nullptr && inputs->input_size() != weight.rows())
    fail("quantize: the calibration has {} inputs, but the linear layer has {} (was it recorded for another layer?)",
         inputs->input_size(), weight.rows());
  if (inputs != nullptr && inputs->rows == 0)
    fail("quantize: the calibration of the linear layer is empty (call add() or calibrate() first)");
  if (how.rounding == Rounding::nearest) {
    WeightScales<float> scales;
    Matrix<float> steps;
    covering_steps(weight, format, steps);
    split_steps(steps, format, scales);
    return encode_weights(weight, scales, format);
  }
  if (how.rounding == Rounding::searched) {
    RowVector<float> importance = RowVector<float>::Ones(weight.rows());
    if (inputs != nullptr && inputs->second_moments.trace() > 0)
      importance = detail::damped(inputs->second_moments, how.damping).diagonal().transpose().cast<float>();
    return encode_weights(weight, search_scales(weight, importance, format), format);
  }
  if (inputs == nullptr) fail("quantize: GPTQ needs calibration data for the linear layer's inputs (see calibrate)");
  QuantizedMatrix matrix = round_by_gptq(weight, inputs->second_moments, format, how.damping);
  const Matrix<double> moments = detail::damped(inputs->second_moments, how.damping);
  for (int pass = 0;; ++pass) {
    refit_scales(weight, moments, matrix);
    if (pass == how.refinements || refine_codes(weight, moments, matrix) == 0) return matrix;
  }
}

/// The error after rounding: of the weights, |W - Q|^2 / |W|^2, and of the map's outputs over the calibration's tokens
/// (without bias), |X W - X Q|^2 / |X W|^2.
struct RoundingError {
  double weights = 0;  ///< |W - Q|^2 / |W|^2
  double outputs = 0;  ///< 0 without calibration
};

/// The errors of a matrix that was made of `weight`. `inputs` are the calibration of the map's inputs, or null.
[[nodiscard]] inline RoundingError rounding_error(const Matrix<float>& weight, const QuantizedMatrix& matrix,
                                                  const InputStatistics* inputs = nullptr) {
  const Matrix<double> exact = weight.cast<double>(), difference = exact - dequantized(matrix).cast<double>();
  const auto share = [](double part, double whole) { return whole > 0 ? part / whole : 0; };
  RoundingError error{.weights = share(difference.squaredNorm(), exact.squaredNorm())};
  if (inputs != nullptr) {
    const auto energy = [&](const Matrix<double>& w) { return (inputs->second_moments * w).cwiseProduct(w).sum(); };
    error.outputs = share(energy(difference), energy(exact));
  }
  return error;
}

}  // namespace icrl
