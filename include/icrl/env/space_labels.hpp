// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <icrl/core/config_fields.hpp>
#include <icrl/env/space.hpp>

namespace icrl {

/// The meaning of one component of a space.
struct ComponentLabel {
  std::string name{};  ///< such as "angle"
  std::string unit{};  ///< such as "rad"; empty for a number without one
  double scale = 1;    ///< value in the unit = scale * number in the space

  static constexpr auto fields() {
    using C = ComponentLabel;
    return std::tuple{TextField<C>{"name", &C::name, "{}", "what it is"},
                      TextField<C>{"unit", &C::unit, "unit {}", "empty for a number without one"},
                      RealField<C>{.key = "scale",
                                   .member = &C::scale,
                                   .text = "scale {}",
                                   .help = "value in the unit = scale * number in the space"}};
  }

  friend bool operator==(const ComponentLabel&, const ComponentLabel&) = default;
};

/// The meaning of observations and actions, one label per component. An empty list says nothing. A model file can hold
/// labels, so that a model is not used with an environment that orders or scales its numbers differently.
struct SpaceLabels {
  std::vector<ComponentLabel> observations{}, actions{};  ///< one label per component, or empty

  /// Whether there are no labels.
  [[nodiscard]] bool empty() const { return observations.empty() && actions.empty(); }
  friend bool operator==(const SpaceLabels&, const SpaceLabels&) = default;
};

/// Throws Error, which begins with `what`, unless each list is empty or has one label per component of its space, with
/// a scale that is finite and not 0.
inline void validate(const SpaceLabels& labels, const Space& observations, const Space& actions,
                     std::string_view what) {
  const auto check = [&](const char* role, const std::vector<ComponentLabel>& list, const Space& space) {
    if (!list.empty() && list.size() != static_cast<std::size_t>(value_count(space))) {
      fail("{}: {} label(s) for {}, but {} has {} components", what, list.size(), role, to_short_string(space),
           value_count(space));
    }
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (!std::isfinite(list[i].scale) || list[i].scale == 0)
        fail("{}: the scale of {}[{}] is {}, it must be finite and not 0", what, role, i, list[i].scale);
    }
  };
  check("observations", labels.observations, observations);
  check("actions", labels.actions, actions);
}

/// Throws Error, which begins with `what`, if both have labels for a component and the labels differ.
inline void require_same_labels(const SpaceLabels& model, const SpaceLabels& environment, std::string_view what) {
  const auto check = [&](const char* role, const auto& ours, const auto& theirs) {
    if (ours.empty() || theirs.empty()) return;
    if (ours.size() != theirs.size())
      fail("{}: the model labels {} {}, the environment labels {}", what, ours.size(), role, theirs.size());
    for (std::size_t i = 0; i < ours.size(); ++i) {
      if (ours[i] == theirs[i]) continue;
      fail("{}: {}[{}] is {} in the model and {} in the environment (was the model trained on another environment?)",
           what, role, i, describe(ours[i]), describe(theirs[i]));
    }
  };
  check("observations", model.observations, environment.observations);
  check("actions", model.actions, environment.actions);
}

}  // namespace icrl
