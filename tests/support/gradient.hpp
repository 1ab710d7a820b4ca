// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <icrl/nn/parameters.hpp>

namespace icrl::test {

/// The derivative of `loss()` by every number of `tensor`, from five points each: its error shrinks with the fourth
/// power of the step.
template <typename Tensor, typename Loss>
Matrix<double> numeric_gradient(Tensor& tensor, Loss&& loss) {
  constexpr double h = 1e-3;
  Matrix<double> gradient(tensor.rows(), tensor.cols());
  for (Index i = 0; i < tensor.size(); ++i) {
    const double value = tensor.data()[i];
    const auto at = [&](double offset) {
      tensor.data()[i] = value + offset;
      return loss();
    };
    gradient.data()[i] = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
    tensor.data()[i] = value;
  }
  return gradient;
}

/// |analytic - numeric| / (|analytic| + |numeric|), 0 where both vanish.
template <typename Analytic>
double relative_error(const Analytic& analytic, const Matrix<double>& numeric) {
  const double scale = analytic.norm() + numeric.norm();
  return scale < 1e-12 ? 0.0 : (analytic - numeric).norm() / scale;
}

/// The largest relative error over a layer's tensors, NaN if one is, and whose it is. `grad` holds the analytic
/// gradient of `loss`.
template <Parameterized Layer, typename Loss>
std::pair<double, std::string> worst_parameter_error(Layer& layer, Layer& grad, Loss&& loss) {
  std::pair<double, std::string> worst{0.0, "none"};
  for_each_parameter(
      [&](std::string_view name, auto& tensor, auto& analytic) {
        const double error = relative_error(analytic, numeric_gradient(tensor, loss));
        if (!(error <= worst.first) && !std::isnan(worst.first)) worst = {error, std::string{name}};
      },
      layer, grad);
  return worst;
}

/// Every weight a normal number, so that none is at a special place such as zero or one.
template <Parameterized Layer>
void randomise(Layer& layer, Rng& rng, double stddev = 0.5) {
  for_each_parameter([&](std::string_view, auto& tensor) { fill_normal(tensor, stddev, rng); }, layer);
}

inline Matrix<double> random_matrix(Index rows, Index columns, Rng& rng) {
  Matrix<double> matrix(rows, columns);
  fill_normal(matrix, 1.0, rng);
  return matrix;
}

}  // namespace icrl::test
