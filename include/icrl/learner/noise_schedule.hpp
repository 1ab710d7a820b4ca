// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include <icrl/core/fail.hpp>

namespace icrl {

/// The probability of a random action: falls linearly from `start` to `end` over the first `anneal_share` of
/// `episodes`, then stays at `end`.
struct NoiseSchedule {
  double start = 1;           ///< in 0 .. 1
  double end = 0;             ///< in 0 .. 1
  double anneal_share = 0.9;  ///< in 0 .. 1; 0 = `end` from the first episode on
  int episodes = 200;         ///< of the whole history

  /// Probability of a random action in the given episode, counted from 0.
  [[nodiscard]] double at(int episode) const {
    const double length = anneal_share * episodes;
    if (length <= 0) return end;
    return start + (end - start) * std::min(1.0, episode / length);
  }
};

/// Throws Error for a value outside its range.
inline void validate(const NoiseSchedule& noise) {
  const auto is_share = [](double value) { return value >= 0 && value <= 1; };
  if (!is_share(noise.start) || !is_share(noise.end) || !is_share(noise.anneal_share)) {
    fail("noise schedule: start is {}, end is {}, anneal_share is {}; each must lie in [0, 1]", noise.start, noise.end,
         noise.anneal_share);
  }
  if (noise.episodes < 0) fail("noise schedule: episodes is {}, it must not be negative", noise.episodes);
}

}  // namespace icrl
