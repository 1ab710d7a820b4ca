// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include <icrl/core/fail.hpp>

namespace icrl {

/// How an agent chooses among the actions that its model offers.
struct Decoding {
  double temperature = 1;  ///< 1 samples what the model says, less is bolder, 0 is greedy: the likeliest action
};

inline void validate(const Decoding& decoding) {
  if (!std::isfinite(decoding.temperature) || decoding.temperature < 0)
    fail("decoding: temperature is {}, it must be 0 (greedy) or more", decoding.temperature);
}

}  // namespace icrl
