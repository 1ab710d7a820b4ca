// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>

#include <icrl/model/recurrent_model.hpp>

namespace icrl {

/// A RecurrentModel with one more output after those for actions: a value. Agents use only the outputs for actions;
/// their `outputs()` has the value, too.
template <std::floating_point S>
struct RecurrentValueModel : RecurrentModel<S> {
  static constexpr std::string_view kind = "value_gated_recurrence";

  /// All weights zero, all norms one. Throws Error for an invalid configuration or layout.
  RecurrentValueModel(const RecurrentConfig& shape, const StepLayout& steps) : RecurrentModel<S>{shape, steps} {
    this->head = Linear<S>{shape.width, output_count()};
  }

  /// Number of weights of such a model, without constructing it.
  [[nodiscard]] static std::int64_t weight_count(const RecurrentConfig& shape, const StepLayout& steps) {
    return RecurrentModel<S>::weight_count(shape, steps) + shape.width + 1;
  }

  /// P: the outputs for actions, and the value.
  [[nodiscard]] int output_count() const { return this->actions.parameter_count() + 1; }
};

}  // namespace icrl
