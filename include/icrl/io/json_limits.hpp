// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/core/target.hpp>

namespace icrl {

/// What a JSON text may hold at most.
struct JsonLimits {
  static constexpr int nesting = 32;           ///< objects and lists inside one another
  static constexpr int value_count = 1 << 20;  ///< values of any kind, so that a short text cannot fill the memory
};

}  // namespace icrl
