// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include <icrl/core/assert.hpp>
#include <icrl/core/rng.hpp>

// Further distributions of an Rng. They use logarithms, so the last digit may depend on the platform, as for
// Rng::normal().
namespace icrl {

namespace detail {

/// The logarithm of a gamma number with scale 1. A small shape often gives numbers that are too small for a double, but
/// their logarithms are not.
[[nodiscard]] inline double log_gamma_number(double shape, Rng& rng) {
  if (shape < 1) {  // a gamma number of shape + 1, times uniform^(1 / shape)
    const double log_uniform = std::log(1 - rng.uniform());
    return log_gamma_number(shape + 1, rng) + log_uniform / shape;
  }
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = rng.normal(), root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root, u = 1 - rng.uniform();
    if (std::log(u) < 0.5 * x * x + d * (1 - v + std::log(v))) return std::log(d) + std::log(v);
  }
}

}  // namespace detail

/// Gamma distributed with mean shape * scale and variance shape * scale^2 (Marsaglia & Tsang, 2000). Both must be
/// positive and finite. How many numbers of the generator it uses is random.
[[nodiscard]] inline double gamma_number(double shape, double scale, Rng& rng) {
  ICRL_ASSERT(shape > 0 && std::isfinite(shape), "gamma_number: shape must be positive and finite");
  ICRL_ASSERT(scale > 0 && std::isfinite(scale), "gamma_number: scale must be positive and finite");
  return scale * std::exp(detail::log_gamma_number(shape, rng));
}

/// Beta distributed in [0, 1] with mean a / (a + b): x / (x + y) for gamma numbers x and y of shapes a and b, which
/// must be positive and finite. Correct for small shapes, too, where x and y themselves would be 0.
[[nodiscard]] inline double beta_number(double a, double b, Rng& rng) {
  ICRL_ASSERT(a > 0 && std::isfinite(a), "beta_number: a must be positive and finite");
  ICRL_ASSERT(b > 0 && std::isfinite(b), "beta_number: b must be positive and finite");
  const double log_x = detail::log_gamma_number(a, rng);
  const double log_y = detail::log_gamma_number(b, rng);
  // Both may be too small even for a logarithm; then the number is 0 or 1.
  if (std::isinf(log_x) && std::isinf(log_y)) return rng.uniform() * (a + b) < a ? 1 : 0;
  return 1 / (1 + std::exp(log_y - log_x));
}

}  // namespace icrl
