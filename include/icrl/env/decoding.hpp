// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include <icrl/core/fail.hpp>

namespace icrl {

/// How an agent samples an action from the outputs of its model.
struct Decoding {
  double temperature = 1;  ///< 1: the model's distribution; lower: exploits more; 0: greedy, the likeliest action
  /// Ids whose probability is below this fraction of the likeliest id's are never sampled (min-p sampling; Nguyen et
  /// al., 2025). If the model is certain, this removes noise that it learned from its source. If it explores, nearly
  /// all ids remain.
  double min_p = 0;
};

inline void validate(const Decoding& decoding) {
  if (!std::isfinite(decoding.temperature) || decoding.temperature < 0)
    fail("decoding: temperature is {}, it must be 0 (greedy) or more", decoding.temperature);
  if (!(decoding.min_p >= 0 && decoding.min_p <= 1))
    fail("decoding: min_p is {}, it must lie in [0, 1]", decoding.min_p);
}

}  // namespace icrl
