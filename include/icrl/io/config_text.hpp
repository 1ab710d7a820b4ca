// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/config_fields.hpp>
#include <icrl/env/space_labels.hpp>
#include <icrl/history/step_layout.hpp>
#include <icrl/io/json_text.hpp>

// Configurations as JSON text, as stored in files. Keys are sorted alphabetically.
//   space   {"discrete": 5} or {"multi_discrete": [9, 9]} or {"box": {"low": [-1, "-inf"], "high": [1, "inf"]}}
//           a box may also have "shape": [84, 84, 1] and "element": "u8" or "u16"; without them it is flat and f32
//   layout  {"observation_space": .., "action_space": .., "closing_token": false}
//           it may also have "extra_features": [{"name": "return_to_go", "size": 1}]
//   config  one key per field of the configuration's `fields()`: a number, a name or a text; an optional list of
//           whole numbers only if it is not empty
//   labels  {"actions": [label, ..], "observations": [..]}, label {"name": "angle", "scale": 1.0, "unit": "rad"}
namespace icrl {

namespace detail {

/// Infinities are written as texts, because JSON has none.
[[nodiscard]] inline JsonText bounds_text(const std::vector<float>& bounds) {
  std::vector<JsonText> texts;
  for (const float bound : bounds) {
    if (std::isinf(bound)) {
      texts.emplace_back(bound > 0 ? "inf" : "-inf");
    } else {
      texts.emplace_back(static_cast<double>(bound));
    }
  }
  return texts;
}

}  // namespace detail

/// A space as JSON: {"discrete": 5}, {"multi_discrete": [9, 9]}, or {"box": ...} with its bounds, shape and element
/// type.
[[nodiscard]] inline JsonText json_text(const Space& space) {
  if (const auto* discrete = std::get_if<Discrete>(&space)) return json_object({{"discrete", discrete->count}});
  if (const auto* multi = std::get_if<MultiDiscrete>(&space)) return json_object({{"multi_discrete", multi->counts}});
  const auto& box = std::get<Box>(space);
  JsonFields fields{{"high", detail::bounds_text(box.high)}, {"low", detail::bounds_text(box.low)}};
  if (box.element != ElementType::f32) fields.emplace("element", to_string(box.element));
  if (!box.shape.empty()) fields.emplace("shape", box.shape);
  return json_object({{"box", json_object_of(fields)}});
}

/// The layout of a step as JSON: both spaces, the closing token, and the extra features if there are any.
[[nodiscard]] inline JsonText json_text(const StepLayout& layout) {
  JsonFields fields{{"action_space", json_text(layout.action_space)},
                    {"closing_token", layout.closing_token},
                    {"observation_space", json_text(layout.observation_space)}};
  std::vector<JsonText> extras;
  for (const ExtraFeature& feature : layout.extra_features)
    extras.push_back(json_object({{"name", feature.name}, {"size", feature.size}}));
  if (!extras.empty()) fields.emplace("extra_features", extras);
  return json_object_of(fields);
}

/// Writes any configuration that lists its fields.
template <HasFields Config>
[[nodiscard]] JsonText json_text(const Config& config) {
  JsonFields fields;
  for_each_field<Config>([&](const auto& field) {
    if (!field.is_set(config)) return;
    if constexpr (requires { field.names; }) {
      const auto* const entry = field.find(config.*field.member);
      ICRL_ASSERT(entry != nullptr, "json_text: the configuration has an invalid value (call validate first)");
      fields.emplace(field.key, entry->name);
    } else {
      fields.emplace(field.key, config.*field.member);
    }
  });
  return json_object_of(fields);
}

/// Labels as JSON: two lists, "actions" and "observations".
[[nodiscard]] inline JsonText json_text(const SpaceLabels& labels) {
  const auto list = [](const std::vector<ComponentLabel>& components) {
    std::vector<JsonText> texts;
    for (const ComponentLabel& component : components) texts.push_back(json_text(component));
    return texts;
  };
  return json_object({{"actions", list(labels.actions)}, {"observations", list(labels.observations)}});
}

}  // namespace icrl
