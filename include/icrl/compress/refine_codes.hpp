// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <icrl/compress/quantized_matrix.hpp>
#include <icrl/compress/weight_groups.hpp>

namespace icrl {

/// Chooses the scale of every output that minimizes the squared error of the output, (w - q)^T H (w - q) with H the
/// inputs' second moments, for the given codes.
inline void refit_scales(const Matrix<float>& weight, const Matrix<double>& second_moments, QuantizedMatrix& matrix) {
  const Matrix<double> rounded = dequantized(matrix).cast<double>(), seen = second_moments * rounded;
  for (Index o = 0; o < matrix.out; ++o) {
    const double both = seen.col(o).dot(weight.col(o).cast<double>()), own = seen.col(o).dot(rounded.col(o));
    if (both > 0 && own > 0) matrix.scales[static_cast<std::size_t>(o)] *= static_cast<float>(both / own);
  }
}

namespace detail {

/// What lies between neighboring whole codes.
[[nodiscard]] inline double step_of(const QuantizedMatrix& matrix, Index i, Index o) {
  const auto scale = static_cast<double>(matrix.scales[static_cast<std::size_t>(o)]);
  if (matrix.group == 0) return scale;
  return scale * static_cast<double>(matrix.group_scales[static_cast<std::size_t>(i / matrix.group * matrix.out + o)]);
}

}  // namespace detail

/// Goes over all inputs and gives each weight the code with the least squared error of its output while the other
/// weights stay fixed (Behdin et al., 2023, "QuantEase"). Returns how many codes changed.
inline std::int64_t refine_codes(const Matrix<float>& weight, const Matrix<double>& second_moments,
                                 QuantizedMatrix& matrix) {
  const detail::CodeNumbers<double> numbers{code_range(matrix.bits)};
  const Matrix<double> error = dequantized(matrix).cast<double>() - weight.cast<double>();
  Matrix<double> slope = second_moments * error;  // half the derivative of the squared error by each weight
  RowVector<double> change(matrix.out);
  std::int64_t changed = 0;
  for (Index i = 0; i < matrix.in; ++i) {
    const double own = second_moments(i, i);
    if (own <= 0) continue;
    for (Index o = 0; o < matrix.out; ++o) {
      const double step = detail::step_of(matrix, i, o);
      std::int8_t& code = matrix.codes[static_cast<std::size_t>(i * matrix.out + o)];
      const double present = static_cast<double>(code) * step;
      const double best = numbers.nearest((present - slope(i, o) / own) * detail::inverse_or_zero(step));
      change(o) = (best - static_cast<double>(code)) * step;
      changed += best != static_cast<double>(code) ? 1 : 0;
      code = static_cast<std::int8_t>(best);
    }
    for (Index j = 0; j < matrix.in; ++j) slope.row(j) += second_moments(j, i) * change;
  }
  return changed;
}

}  // namespace icrl
