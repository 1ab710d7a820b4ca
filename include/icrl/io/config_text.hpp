// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <icrl/history/step_layout.hpp>
#include <icrl/io/json_text.hpp>
#include <icrl/model/transformer_config.hpp>

// Configurations as the JSON text that files hold. Keys stand in the order of the alphabet.
//   space   {"discrete": 5} or {"multi_discrete": [9, 9]} or {"box": {"low": [-1, "-inf"], "high": [1, "inf"]}}
//           a box may also have "shape": [84, 84, 1] and "element": "u8" or "u16"; without them it is flat and f32
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

inline constexpr std::pair<std::string_view, ElementType> element_names[] = {
    {"f32", ElementType::f32}, {"u16", ElementType::u16}, {"u8", ElementType::u8}};

template <typename Enum, std::size_t count>
[[nodiscard]] std::string_view name_of(const std::pair<std::string_view, Enum> (&names)[count], Enum value) {
  for (const auto& [name, known] : names)
    if (known == value) return name;
  return {};
}

/// JSON has no infinities.
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

[[nodiscard]] inline JsonText json_text(const Space& space) {
  if (const auto* discrete = std::get_if<Discrete>(&space)) return json_object({{"discrete", discrete->count}});
  if (const auto* multi = std::get_if<MultiDiscrete>(&space)) return json_object({{"multi_discrete", multi->counts}});
  const auto& box = std::get<Box>(space);
  std::string fields = "{";
  if (box.element != ElementType::f32) fields += fmt::format("\"element\":\"{}\",", to_string(box.element));
  fields +=
      fmt::format("\"high\":{},\"low\":{}", detail::bounds_text(box.high).text(), detail::bounds_text(box.low).text());
  if (!box.shape.empty()) fields += fmt::format(",\"shape\":{}", JsonText{box.shape}.text());
  return json_object({{"box", JsonText::verbatim(fields + "}")}});
}

[[nodiscard]] inline JsonText json_text(const StepLayout& layout) {
  return json_object({{"action_space", json_text(layout.action_space)},
                      {"closing_token", layout.closing_token},
                      {"observation_space", json_text(layout.observation_space)}});
}

[[nodiscard]] inline JsonText json_text(const TransformerConfig& config) {
  return json_object({{"context", config.context},
                      {"head_count", config.head_count},
                      {"hidden", config.hidden},
                      {"layer_count", config.layer_count},
                      {"positions", detail::name_of(detail::position_names, config.positions)},
                      {"reward_scale", config.reward_scale},
                      {"tokens", detail::name_of(detail::token_names, config.tokens)},
                      {"width", config.width},
                      {"window_start", detail::name_of(detail::window_start_names, config.window_start)}});
}

}  // namespace icrl
