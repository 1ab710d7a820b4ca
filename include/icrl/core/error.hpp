// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <stdexcept>

#include <icrl/core/target.hpp>

namespace icrl {

/// A runtime error: a bad file, a bad configuration, an environment that breaks its promise, a number that is not
/// finite. The text says what is wrong, where, gives both values, and a hint. For precondition violations use
/// `ICRL_ASSERT`.
class Error : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

}  // namespace icrl
