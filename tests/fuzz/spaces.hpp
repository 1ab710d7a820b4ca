// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <limits>
#include <utility>
#include <vector>

#include <icrl/env/space.hpp>
#include <icrl/model/transformer_config.hpp>

namespace icrl::fuzz {

/// A small space of any kind.
[[nodiscard]] inline Space any_space(Rng& rng) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const int kind = rng.below(4), size = 1 + rng.below(3);
  if (kind == 0) return Discrete{rng.chance(0.1) ? 300 : 1 + rng.below(5)};
  if (kind == 1) {
    MultiDiscrete space;
    for (int i = 0; i < size; ++i) space.counts.push_back(1 + rng.below(4));
    return space;
  }
  Box space;
  for (int i = 0; i < size; ++i) {
    space.low.push_back(rng.chance(0.2) ? -infinity : static_cast<float>(-rng.below(3)));
    space.high.push_back(rng.chance(0.2) ? infinity : static_cast<float>(rng.below(3)));
  }
  return space;
}

/// What an observation may be besides: a box with a shape or of whole numbers.
[[nodiscard]] inline Space any_observation_space(Rng& rng) {
  if (rng.chance(0.6)) return any_space(rng);
  Box box = image_box(1 + rng.below(2), 1 + rng.below(3), 1 + rng.below(2));
  constexpr ElementType elements[] = {ElementType::u8, ElementType::u16, ElementType::f32};
  box.element = elements[rng.below(3)];
  box.low[0] = static_cast<float>(rng.below(3));
  if (rng.chance(0.3)) box.shape.clear();
  return box;
}

[[nodiscard]] inline std::vector<float> any_element(const Space& space, Rng& rng) {
  std::vector<float> element(static_cast<std::size_t>(value_count(space)));
  sample(space, rng, element);
  return element;
}

/// None, one or two.
[[nodiscard]] inline std::vector<ExtraFeature> any_extra_features(Rng& rng) {
  std::vector<ExtraFeature> features;
  for (const char* name : {"far", "near"})
    if (rng.chance(0.2)) features.push_back({name, 1 + rng.below(3)});
  return features;
}

[[nodiscard]] inline StepLayout any_layout(Rng& rng) {
  return {.observation_space = any_observation_space(rng),
          .action_space = any_space(rng),
          .closing_token = rng.chance(0.5),
          .extra_features = any_extra_features(rng)};
}

/// A model as small as can be, of any scheme.
[[nodiscard]] inline TransformerConfig any_config(Rng& rng) {
  return {.width = 2 * (1 + rng.below(2)),
          .layer_count = 1 + rng.below(2),
          .head_count = 1,
          .hidden = 1 + rng.below(3),
          .context = 3 + rng.below(4),
          .positions = rng.chance(0.5) ? PositionScheme::learned : PositionScheme::rotary,
          .tokens = rng.chance(0.7) ? TokenScheme::fused : TokenScheme::separate,
          .window_start = rng.chance(0.5) ? WindowStart::episode : WindowStart::anywhere,
          .reward_scale = rng.chance(0.5) ? 1 : 0.5};
}

}  // namespace icrl::fuzz
