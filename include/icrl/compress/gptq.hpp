// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>

#include <icrl/compress/step_search.hpp>

// GPTQ (Frantar et al., 2023): inputs are rounded one after another, and each rounding error is made up for, as well as
// the second moments H = X^T X of the inputs allow, by the weights of the inputs that are still to come.
namespace icrl {
namespace detail {

/// The upper triangular U with H^-1 = U^T U, for a symmetric positive definite H (n, n), which it overwrites. With R
/// R^T = H, R upper triangular (Cholesky's decomposition from the last row up), U = R^-1. Returns false where H is not
/// positive definite.
[[nodiscard]] inline bool invert_to_upper(Matrix<double>& h) {
  const Index n = h.rows();
  for (Index j = n - 1; j >= 0; --j) {
    for (Index i = j; i >= 0; --i) {
      double sum = h(i, j);
      for (Index k = j + 1; k < n; ++k) sum -= h(i, k) * h(j, k);
      if (i == j && !(sum > 0 && std::isfinite(sum))) return false;
      h(i, j) = i == j ? std::sqrt(sum) : sum / h(j, j);
    }
  }
  for (Index i = n - 1; i >= 0; --i) {
    h(i, i) = 1 / h(i, i);
    for (Index j = n - 1; j > i; --j) {
      double sum = 0;
      for (Index k = i + 1; k <= j; ++k) sum += h(i, k) * h(k, j);
      h(i, j) = -sum * h(i, i);
    }
    for (Index j = 0; j < i; ++j) h(i, j) = 0;
  }
  return true;
}

}  // namespace detail

/// The matrix for weights (in, out) and second moments (in, in) of their inputs, whose diagonal gets `damping` times
/// its mean added. An input that was always 0 is left out of the compensation. Throws Error if the second moments are
/// singular.
[[nodiscard]] inline QuantizedMatrix round_by_gptq(Matrix<float> weight, const Matrix<double>& second_moments,
                                                   const WeightFormat& format, double damping) {
  const CodeRange range = code_range(format.bits);
  const detail::CodeNumbers<float> numbers{range};
  const Index in = weight.rows(), out = weight.cols(), size = format.group_size(in);
  ICRL_ASSERT(second_moments.rows() == in && second_moments.cols() == in,
              "GPTQ: second_moments must be (in, in) of the weights' inputs");
  const double mean = second_moments.trace() / static_cast<double>(in);
  Matrix<double> upper = second_moments;
  for (Index i = 0; i < in; ++i) upper(i, i) += mean > 0 ? damping * mean : 1;
  if (!detail::invert_to_upper(upper))
    fail("GPTQ: the second moments of {} inputs are singular (raise damping, {}, or calibrate on more windows)", in,
         damping);

  RowVector<float> importance(in);  // what rounding an input costs after the best compensation
  const double unit = mean > 0 ? mean : 1;
  for (Index i = 0; i < in; ++i) importance(i) = static_cast<float>(1 / (upper(i, i) * upper(i, i) * unit));
  WeightScales<float> scales = search_scales(weight, importance, format);
  Matrix<float> codes(in, out);
  RowVector<float> error(out);
  for (Index i = 0; i < in; ++i) {
    const Index k = i / size;
    if (i % size == 0 && range.max_group_scale > 1) {
      for (Index o = 0; o < out; ++o)
        scales.group_scales(k, o) =
            detail::best_group_scale(weight, importance, i, std::min(in, i + size), o, scales.scales(o), range);
    }
    const auto own = static_cast<float>(1 / upper(i, i));
    for (Index o = 0; o < out; ++o) {
      const float w = weight(i, o), step = scales.step(k, o);
      codes(i, o) = numbers.nearest(w * detail::inverse_or_zero(step));
      error(o) = (w - codes(i, o) * step) * own;
    }
    for (Index j = i + 1; j < in; ++j) {
      const auto share = static_cast<float>(upper(i, j));
      float* const row = row_data(weight, j);
      for (Index o = 0; o < out; ++o) row[o] -= share * error(o);
    }
  }
  return make_quantized(codes, scales, format);
}

}  // namespace icrl
