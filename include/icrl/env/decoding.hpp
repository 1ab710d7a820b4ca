// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include <icrl/core/fail.hpp>

namespace icrl {

/// How an agent chooses among the actions that its model offers.
struct Decoding {
  double temperature = 1;  ///< 1 samples what the model says, less is bolder, 0 is greedy: the likeliest action
  /// Ids less likely than this share of the likeliest one's probability are never taken (min-p sampling; Nguyen et al.,
  /// 2025). Where the model is sure this drops the noise that it learned from its source; where it explores nearly all
  /// stay in.
  double min_p = 0;
};

inline void validate(const Decoding& decoding) {
  if (!std::isfinite(decoding.temperature) || decoding.temperature < 0)
    fail("decoding: temperature is {}, it must be 0 (greedy) or more", decoding.temperature);
  if (!(decoding.min_p >= 0 && decoding.min_p <= 1))
    fail("decoding: min_p is {}, it must lie in [0, 1]", decoding.min_p);
}

}  // namespace icrl
