// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>

#include <icrl/model/recurrent_model.hpp>
#include <icrl/model/value_head.hpp>

namespace icrl {

/// A RecurrentModel with one more output after those for actions: a value. Agents use only the outputs for actions;
/// their `outputs()` has the value, too.
template <std::floating_point S>
using RecurrentValueModel = RecurrentModel<S, ValueHead<S>>;

}  // namespace icrl
