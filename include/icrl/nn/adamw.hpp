// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <span>

#include <icrl/core/assert.hpp>
#include <icrl/math/matrix.hpp>

namespace icrl {

/// One update by Adam with decoupled weight decay (Loshchilov and Hutter, 2019, algorithm 2) of any run of weights.
template <std::floating_point S>
struct AdamWUpdate {
  S rate, beta1, beta2, epsilon;
  S decay;                      ///< weight decay; 0 for all but matrices
  S gradient_scale;             ///< the gradient is multiplied by this first: averaging and clipping
  S mean_bias, deviation_bias;  ///< 1 - beta1^n and sqrt(1 - beta2^n), for the n-th update

  /// Overwrites `weights`, `mean` and `variance`. All four have one length.
  ///   g = scale * gradient,  m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
  ///   w = (1 - rate decay) w - rate (m / mean_bias) / (sqrt(v) / deviation_bias + epsilon)
  void apply(std::span<const S> gradient, std::span<S> weights, std::span<S> mean, std::span<S> variance) const {
    ICRL_ASSERT(gradient.size() == weights.size() && mean.size() == weights.size() && variance.size() == weights.size(),
                "AdamW: a gradient and two moments for every weight");
    using Numbers = Eigen::Array<S, Eigen::Dynamic, 1>;
    const auto size = static_cast<Index>(weights.size());
    const Eigen::Map<const Numbers> g{gradient.data(), size};
    Eigen::Map<Numbers> w{weights.data(), size}, m{mean.data(), size}, v{variance.data(), size};
    m = beta1 * m + ((S(1) - beta1) * gradient_scale) * g;
    v = beta2 * v + (S(1) - beta2) * (gradient_scale * g).square();  // a clipped gradient's square is no overflow
    w = (S(1) - rate * decay) * w - (rate / mean_bias) * m / (v.sqrt() * (S(1) / deviation_bias) + epsilon);
  }
};

}  // namespace icrl
