// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/core/target.hpp>

namespace icrl {

/// Limits for a JSON text.
struct JsonLimits {
  static constexpr int nesting = 32;           ///< levels of nested objects and lists
  static constexpr int value_count = 1 << 20;  ///< number of values, so that a text cannot fill the memory
};

}  // namespace icrl
