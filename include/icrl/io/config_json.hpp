// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <icrl/history/step_layout.hpp>
#include <icrl/io/config_text.hpp>
#include <icrl/io/json.hpp>
#include <icrl/model/transformer_config.hpp>

// Configurations as JSON; config_text.hpp has the format. Reading them back takes every key, refuses unknown ones by
// name, and validates what it read.
namespace icrl {

namespace detail {

template <typename Enum, std::size_t count>
[[nodiscard]] Enum named_value(JsonObject& object, const std::string& key,
                               const std::pair<std::string_view, Enum> (&names)[count]) {
  const std::string found = object.text(key);
  for (const auto& [name, value] : names)
    if (name == found) return value;
  std::vector<std::string_view> known;
  for (const auto& [name, value] : names) known.push_back(name);
  fail("{}: \"{}\" is \"{}\", it can be {}", object.what(), key, found, joined(known, " or "));
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
      fail("{}: \"{}\" holds {}, which is no 32-bit number, \"inf\" or \"-inf\"", box.what(), key, shown(bound));
    }
  }
  return bounds;
}

}  // namespace detail

[[nodiscard]] inline Json to_json(const Space& space) { return parse_json(json_text(space).text(), "space"); }
[[nodiscard]] inline Json to_json(const StepLayout& layout) { return parse_json(json_text(layout).text(), "layout"); }
[[nodiscard]] inline Json to_json(const TransformerConfig& config) {
  return parse_json(json_text(config).text(), "configuration");
}

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
    const ElementType element =
        box.has("element") ? detail::named_value(box, "element", detail::element_names) : ElementType::f32;
    box.expect_no_other();
    space = Box{std::move(low), std::move(high), std::move(shape), element};
  }
  object.expect_no_other();
  validate(space, what);
  return space;
}

[[nodiscard]] inline StepLayout step_layout_from_json(const Json& json, const std::string& what) {
  JsonObject object{json, what};
  StepLayout layout{
      .observation_space = space_from_json(object.value("observation_space"), what + ": observation space"),
      .action_space = space_from_json(object.value("action_space"), what + ": action space"),
      .closing_token = object.boolean("closing_token")};
  object.expect_no_other();
  return layout;
}

[[nodiscard]] inline TransformerConfig transformer_config_from_json(const Json& json, const std::string& what) {
  constexpr int most = std::numeric_limits<int>::max();
  JsonObject object{json, what};
  const TransformerConfig config{
      .width = object.integer("width", 0, most),
      .layer_count = object.integer("layer_count", 0, most),
      .head_count = object.integer("head_count", 0, most),
      .hidden = object.integer("hidden", 0, most),
      .context = object.integer("context", 0, most),
      .positions = detail::named_value(object, "positions", detail::position_names),
      .tokens = detail::named_value(object, "tokens", detail::token_names),
      .window_start = detail::named_value(object, "window_start", detail::window_start_names),
      .reward_scale = object.number("reward_scale")};
  object.expect_no_other();
  try {
    validate(config);
  } catch (const Error& error) {
    fail("{}: {}", what, error.what());
  }
  return config;
}

}  // namespace icrl
