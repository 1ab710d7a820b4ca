// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <stdexcept>

#include <icrl/core/target.hpp>

namespace icrl {

/// The world's fault: a file, a configuration, an environment that breaks its promise, a number that is not finite. The
/// text says what, where, both values, and a hint. A caller's bug is an `ICRL_ASSERT` instead.
class Error : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

}  // namespace icrl
