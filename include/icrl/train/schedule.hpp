// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>

#include <icrl/core/target.hpp>

namespace icrl {

/// A learning rate that rises linearly over the first updates and then falls along half a cosine wave.
struct WarmupCosine {
  double peak;         ///< the highest rate
  double final_share;  ///< the last update's rate as a share of the highest
  int warmup;          ///< updates of the rise; the first has peak / warmup
  int updates;         ///< all updates

  /// The rate of update 0 .. updates - 1.
  [[nodiscard]] double rate(int update) const {
    if (update < warmup) return peak * (update + 1) / warmup;
    const double share = static_cast<double>(update - warmup + 1) / std::max(1, updates - warmup);
    return peak * (final_share + (1 - final_share) * 0.5 * (1 + std::cos(std::numbers::pi * std::min(share, 1.0))));
  }
};

}  // namespace icrl
