// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <limits>

#include <icrl/compress/weight_groups.hpp>

// Steps that cut off the largest weights of a group where that makes the others' errors smaller.
namespace icrl {
namespace detail {

/// The squared error of rounding the weights first .. last of one output with this step, each times its importance.
inline double rounding_error(const Matrix<float>& weight, const RowVector<float>& importance, Index first, Index last,
                             Index o, float step, const CodeNumbers<float>& codes) {
  const float inverse = inverse_or_zero(step);
  double error = 0;
  for (Index i = first; i < last; ++i) {
    const float w = weight(i, o), difference = w - codes.nearest(w * inverse) * step;
    error += static_cast<double>(difference * difference * importance(i));
  }
  return error;
}

/// The integer group scale with the least such error for a given scale of the output.
[[nodiscard]] inline float best_group_scale(const Matrix<float>& weight, const RowVector<float>& importance,
                                            Index first, Index last, Index o, float scale, const CodeRange& range) {
  const CodeNumbers<float> codes{range};
  double least = std::numeric_limits<double>::infinity();
  int best = 1;
  for (int g = 1; g <= range.max_group_scale; ++g) {
    const double error = rounding_error(weight, importance, first, last, o, static_cast<float>(g) * scale, codes);
    if (error < least) {
      least = error;
      best = g;
    }
  }
  return static_cast<float>(best);
}

/// Finds the best fraction of each covering step; the largest steps determine the outputs' scales.
inline void search_steps(const Matrix<float>& weight, const RowVector<float>& importance, const WeightFormat& format,
                         Matrix<float>& steps) {
  constexpr int candidates = 25;
  constexpr float least_share = 0.4f;
  const CodeNumbers<float> codes{code_range(format.bits)};
  const Index in = weight.rows(), size = format.group_size(in);
  covering_steps(weight, format, steps);
  for (Index k = 0; k < steps.rows(); ++k) {
    const Index first = k * size, last = std::min(in, first + size);
    for (Index o = 0; o < steps.cols(); ++o) {
      const float whole = steps(k, o);
      double least = std::numeric_limits<double>::infinity();
      for (int c = 0; c < candidates; ++c) {
        const float step = whole * (1 - (1 - least_share) * static_cast<float>(c) / (candidates - 1));
        const double error = rounding_error(weight, importance, first, last, o, step, codes);
        if (error < least) {
          least = error;
          steps(k, o) = step;
        }
      }
    }
  }
}

}  // namespace detail

/// Scales with the least squared error, weighted by the `importance` (in) of each weight's input. With the mean square
/// of the input as importance, this is the error of the outputs if inputs are independent.
[[nodiscard]] inline WeightScales<float> search_scales(const Matrix<float>& weight, const RowVector<float>& importance,
                                                       const WeightFormat& format) {
  const CodeRange range = code_range(format.bits);
  const Index in = weight.rows(), size = format.group_size(in);
  Matrix<float> steps;
  detail::search_steps(weight, importance, format, steps);
  WeightScales<float> scales;
  split_steps(steps, format, scales);
  for (Index k = 0; k < steps.rows() && range.max_group_scale > 1; ++k) {
    for (Index o = 0; o < steps.cols(); ++o) {
      scales.group_scales(k, o) = detail::best_group_scale(weight, importance, k * size, std::min(in, (k + 1) * size),
                                                           o, scales.scales(o), range);
    }
  }
  return scales;
}

}  // namespace icrl
