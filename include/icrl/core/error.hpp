// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <stdexcept>

#include <icrl/core/target.hpp>

namespace icrl {

/// A runtime error: a file, a configuration, an environment that breaks its promise, a number that is not finite. The
/// text says what, where, both values, and a hint. A precondition violation is an `ICRL_ASSERT` instead.
class Error : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

}  // namespace icrl
