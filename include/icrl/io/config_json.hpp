// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <icrl/core/config_fields.hpp>
#include <icrl/env/space_labels.hpp>
#include <icrl/history/step_layout.hpp>
#include <icrl/io/config_text.hpp>
#include <icrl/io/json.hpp>

// Reads configurations from JSON; config_text.hpp describes the format. Every key except that of an optional list is
// required, unknown keys are refused by name, and the result is validated.
namespace icrl {

namespace detail {

/// One function per kind of field. Ranges are checked later, with the whole configuration. A configuration may list
/// fields of its bases.
template <typename Config>
void read_field(JsonObject& object, const IntField<Config>& field, std::type_identity_t<Config>& config) {
  using Limits = std::numeric_limits<int>;
  config.*field.member = object.integer(std::string{field.key}, Limits::lowest(), Limits::max());
}
template <typename Config>
void read_field(JsonObject& object, const RealField<Config>& field, std::type_identity_t<Config>& config) {
  config.*field.member = object.number(std::string{field.key});
}
template <typename Config>
void read_field(JsonObject& object, const TextField<Config>& field, std::type_identity_t<Config>& config) {
  config.*field.member = object.text(std::string{field.key});
}
template <typename Config, typename Enum>
void read_field(JsonObject& object, const EnumField<Config, Enum>& field, std::type_identity_t<Config>& config) {
  const std::string found = object.text(std::string{field.key});
  const auto entry =
      std::find_if(field.names.begin(), field.names.end(), [&](const auto& named) { return named.name == found; });
  if (entry == field.names.end())
    fail("{}: \"{}\" is \"{}\", it must be {}", object.what(), field.key, found, field.range_text());
  config.*field.member = entry->value;
}
template <typename Config>
void read_field(JsonObject& object, const IntListField<Config>& field, std::type_identity_t<Config>& config) {
  using Limits = std::numeric_limits<int>;
  const std::string key{field.key};
  if (!object.has(key)) return;
  for (const Json& number : object.list(key)) {
    (config.*field.member)
        .push_back(
            whole_number(number, Limits::lowest(), Limits::max(), fmt::format("{}: \"{}\"", object.what(), key)));
  }
}

[[nodiscard]] inline std::vector<float> bounds_from_json(JsonObject& box, const std::string& key) {
  std::vector<float> bounds;
  for (const Json& bound : box.list(key)) {
    constexpr auto largest = static_cast<double>(std::numeric_limits<float>::max());
    if (bound == "inf" || bound == "-inf") {
      bounds.push_back((bound == "inf" ? 1.0f : -1.0f) * std::numeric_limits<float>::infinity());
    } else if (bound.is_number() && std::abs(bound.get<double>()) <= largest) {
      bounds.push_back(bound.get<float>());
    } else {
      fail("{}: \"{}\" holds {}, which is not a 32-bit number, \"inf\" or \"-inf\"", box.what(), key, shown(bound));
    }
  }
  return bounds;
}

[[nodiscard]] inline ElementType element_from_json(JsonObject& box) {
  const std::string found = box.text("element");
  for (const ElementType type : {ElementType::f32, ElementType::u16, ElementType::u8})
    if (to_string(type) == found) return type;
  fail("{}: \"element\" is \"{}\", it must be f32 or u16 or u8", box.what(), found);
}

}  // namespace detail

/// `what` begins every error, here and below.
[[nodiscard]] inline Space space_from_json(const Json& json, const std::string& what) {
  JsonObject object{json, what};
  Space space;
  if (object.has("discrete")) {
    space = Discrete{object.integer("discrete", 1, SpaceLimits::ids)};
  } else if (object.has("multi_discrete")) {
    MultiDiscrete multi;
    for (const Json& count : object.list("multi_discrete"))
      multi.counts.push_back(whole_number(count, 1, SpaceLimits::ids, what + ": multi_discrete"));
    space = multi;
  } else {
    JsonObject box{object.value("box"), what + ": box"};
    auto low = detail::bounds_from_json(box, "low"), high = detail::bounds_from_json(box, "high");
    std::vector<int> shape;
    if (box.has("shape")) {
      for (const Json& size : box.list("shape"))
        shape.push_back(whole_number(size, 1, SpaceLimits::components, what + ": box shape"));
    }
    const ElementType element = box.has("element") ? detail::element_from_json(box) : ElementType::f32;
    box.check_no_other();
    space = Box{std::move(low), std::move(high), std::move(shape), element};
  }
  object.check_no_other();
  validate(space, what);
  return space;
}

/// Reads the layout of a step, as json_text writes it. Throws Error for a missing, unknown or invalid value.
[[nodiscard]] inline StepLayout step_layout_from_json(const Json& json, const std::string& what) {
  JsonObject object{json, what};
  StepLayout layout{
      .observation_space = space_from_json(object.value("observation_space"), what + ": observation space"),
      .action_space = space_from_json(object.value("action_space"), what + ": action space"),
      .closing_token = object.boolean("closing_token")};
  if (object.has("extra_features")) {
    for (const Json& feature : object.list("extra_features")) {
      JsonObject extra{feature, what + ": extra_features"};
      layout.extra_features.push_back(
          {.name = extra.text("name"), .size = extra.integer("size", 1, ExtraFeatureLimits::all_sizes)});
      extra.check_no_other();
    }
    validate(layout.extra_features, what);
  }
  object.check_no_other();
  validate_actions(layout.action_space, what + ": action space");
  return layout;
}

/// Reads a configuration that lists its fields. Checks it with its `validate` or, if it has none, with the ranges of
/// its fields.
template <HasFields Config>
[[nodiscard]] Config config_from_json(const Json& json, const std::string& what) {
  JsonObject object{json, what};
  Config config{};
  for_each_field<Config>([&](const auto& field) { detail::read_field(object, field, config); });
  object.check_no_other();
  if constexpr (requires { validate(config); }) {
    try {
      validate(config);
    } catch (const Error& error) {
      fail("{}: {}", what, error.what());
    }
  } else {
    validate_fields(config, what);
  }
  return config;
}

/// The caller checks them against the spaces with `validate`.
[[nodiscard]] inline SpaceLabels space_labels_from_json(const Json& json, const std::string& what) {
  JsonObject object{json, what};
  const auto list = [&](const char* key) {
    std::vector<ComponentLabel> components;
    for (const Json& component : object.list(key)) {
      components.push_back(
          config_from_json<ComponentLabel>(component, fmt::format("{}: {}[{}]", what, key, components.size())));
    }
    return components;
  };
  SpaceLabels labels{.observations = list("observations"), .actions = list("actions")};
  object.check_no_other();
  return labels;
}

}  // namespace icrl
