// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/step_search.hpp>

#include <algorithm>

#include "support/catch.hpp"
#include "support/gradient.hpp"

using namespace icrl;

namespace {

Matrix<float> searched_weights(Index in, Index out) {
  Rng rng{3};
  Matrix<float> weight(in, out);
  fill_normal(weight, 0.2, rng);
  return weight;
}

/// The weighted squared error of one output.
double weighted_error(const Matrix<float>& weight, const Matrix<float>& rounded, const RowVector<float>& importance,
                      Index o) {
  double error = 0;
  for (Index i = 0; i < weight.rows(); ++i) {
    const double difference = static_cast<double>(weight(i, o) - rounded(i, o));
    error += difference * difference * static_cast<double>(importance(i));
  }
  return error;
}

}  // namespace

TEST_CASE("No other integer group scale leaves less error than the one that is found", "[compress]") {
  Rng rng{9};
  const Matrix<float> weight = searched_weights(20, 3);
  RowVector<float> importance(20);
  for (Index i = 0; i < 20; ++i) importance(i) = static_cast<float>(rng.uniform());
  for (const int bits : {4, 3, 2}) {
    const WeightFormat format{bits, 10};
    const WeightScales<float> found = search_scales(weight, importance, format);
    const Matrix<float> best = dequantized(encode_weights(weight, found, format));
    for (Index o = 0; o < 3; ++o) {
      for (int g = 1; g <= code_range(bits).max_group_scale; ++g) {
        WeightScales<float> other = found;
        other.group_scales(1, o) = static_cast<float>(g);
        const Matrix<float> rounded = dequantized(encode_weights(weight, other, format));
        CHECK(weighted_error(weight, best, importance, o) <=
              weighted_error(weight, rounded, importance, o) * (1 + 1e-6) + 1e-12);
      }
    }
  }
}

TEST_CASE("Searched steps leave less error than those that cut off nothing", "[compress]") {
  const Matrix<float> weight = searched_weights(64, 40);
  const RowVector<float> ones = RowVector<float>::Ones(64);
  for (const int bits : {8, 4, 3, 2}) {
    const WeightFormat format{bits, 32};
    Matrix<float> steps;
    covering_steps(weight, format, steps);
    WeightScales<float> covering;
    split_steps(steps, format, covering);
    const double nearest = (dequantized(encode_weights(weight, covering, format)) - weight).squaredNorm();
    const WeightScales<float> scales = search_scales(weight, ones, format);
    const double searched = (dequantized(encode_weights(weight, scales, format)) - weight).squaredNorm();
    INFO(bits << " bits: " << nearest << ", searched " << searched);
    CHECK(searched <= (bits == 2 ? 0.7 : bits == 8 ? 1.0 : 0.97) * nearest);
  }
}

TEST_CASE("An input that matters more gets a smaller error", "[compress]") {
  const Matrix<float> weight = searched_weights(32, 50);
  RowVector<float> even = RowVector<float>::Ones(32), uneven = even;
  uneven.head(4).setConstant(200);
  const WeightFormat format{2, 32};
  const auto error_of_first = [&](const RowVector<float>& importance) {
    const Matrix<float> rounded =
        dequantized(encode_weights(weight, search_scales(weight, importance, format), format));
    return (rounded - weight).topRows(4).squaredNorm();
  };
  CHECK(error_of_first(uneven) < 0.8f * error_of_first(even));
}
