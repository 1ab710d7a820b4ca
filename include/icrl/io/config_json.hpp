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
#include <icrl/io/json.hpp>
#include <icrl/model/transformer_config.hpp>

// Configurations as JSON. Reading them back takes every key, refuses unknown ones by name, and validates what it read.
//   space   {"discrete": 5} or {"multi_discrete": [9, 9]} or {"box": {"low": [-1, "-inf"], "high": [1, "inf"]}}
//   layout  {"observation_space": .., "action_space": .., "closing_token": false}
//   config  {"width": 64, "layer_count": 4, "head_count": 4, "hidden": 0, "context": 80,
//            "positions": "learned" or "rotary", "tokens": "fused" or "separate",
//            "window_start": "episode" or "anywhere", "reward_scale": 1.0}
namespace icrl {

namespace detail {

inline constexpr std::pair<std::string_view, PositionScheme> position_names[] = {{"learned", PositionScheme::learned},
                                                                                 {"rotary", PositionScheme::rotary}};
inline constexpr std::pair<std::string_view, TokenScheme> token_names[] = {{"fused", TokenScheme::fused},
                                                                           {"separate", TokenScheme::separate}};
inline constexpr std::pair<std::string_view, WindowStart> window_start_names[] = {{"episode", WindowStart::episode},
                                                                                  {"anywhere", WindowStart::anywhere}};

template <typename Enum, std::size_t count>
[[nodiscard]] std::string_view name_of(const std::pair<std::string_view, Enum> (&names)[count], Enum value) {
  for (const auto& [name, known] : names)
    if (known == value) return name;
  return {};
}

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

/// JSON has no infinities.
[[nodiscard]] inline Json bound_to_json(float bound) {
  if (std::isinf(bound)) return bound > 0 ? "inf" : "-inf";
  return bound;
}

[[nodiscard]] inline std::vector<float> bounds_from_json(JsonObject& box, const std::string& key) {
  std::vector<float> bounds;
  for (const Json& bound : box.list(key)) {
    constexpr double largest = std::numeric_limits<float>::max();
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

[[nodiscard]] inline Json to_json(const Space& space) {
  if (const auto* discrete = std::get_if<Discrete>(&space)) return {{"discrete", discrete->count}};
  if (const auto* multi = std::get_if<MultiDiscrete>(&space)) return {{"multi_discrete", multi->counts}};
  const auto& box = std::get<Box>(space);
  Json low = Json::array(), high = Json::array();
  for (const float bound : box.low) low.push_back(detail::bound_to_json(bound));
  for (const float bound : box.high) high.push_back(detail::bound_to_json(bound));
  return {{"box", {{"low", low}, {"high", high}}}};
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
    box.expect_no_other();
    space = Box{std::move(low), std::move(high)};
  }
  object.expect_no_other();
  validate(space, what);
  return space;
}

[[nodiscard]] inline Json to_json(const StepLayout& layout) {
  return {{"observation_space", to_json(layout.observation_space)},
          {"action_space", to_json(layout.action_space)},
          {"closing_token", layout.closing_token}};
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

[[nodiscard]] inline Json to_json(const TransformerConfig& config) {
  return {{"width", config.width},
          {"layer_count", config.layer_count},
          {"head_count", config.head_count},
          {"hidden", config.hidden},
          {"context", config.context},
          {"positions", detail::name_of(detail::position_names, config.positions)},
          {"tokens", detail::name_of(detail::token_names, config.tokens)},
          {"window_start", detail::name_of(detail::window_start_names, config.window_start)},
          {"reward_scale", config.reward_scale}};
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
