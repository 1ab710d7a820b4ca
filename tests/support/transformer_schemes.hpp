// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <span>
#include <vector>

#include <icrl/model/causal_transformer.hpp>

// Small transformers of every scheme, and rows for them.
namespace icrl::test {

inline StepLayout grid_layout() { return {.observation_space = MultiDiscrete{{4, 5}}, .action_space = Discrete{3}}; }
inline StepLayout number_layout() {
  return {.observation_space = Box{{-1, -1, -1}, {1, 1, 1}}, .action_space = Box{{-2, -2}, {2, 2}}};
}

/// Rows of a layout as a stream might give them: random observations, extra features, actions and rewards, an episode
/// start every five steps.
inline std::vector<float> random_features(const StepLayout& layout, int steps, Rng& rng) {
  const auto size = static_cast<std::size_t>(layout.feature_count());
  std::vector<float> features(static_cast<std::size_t>(steps) * size),
      observation(static_cast<std::size_t>(layout.observation_size())),
      action(static_cast<std::size_t>(layout.action_size()));
  for (int t = 0; t < steps; ++t) {
    sample(layout.observation_space, rng, observation);
    sample(layout.action_space, rng, action);
    const int flags = (t % 5 == 0 ? StepFlag::episode_start : 0) | (t == 0 ? StepFlag::no_previous : 0);
    const std::span<float> row = std::span{features}.subspan(static_cast<std::size_t>(t) * size, size);
    layout.write(row, observation, action, static_cast<float>(rng.uniform()), flags);
    for (float& value : layout.extra_features_of(row)) value = static_cast<float>(rng.uniform());
  }
  return features;
}

inline std::vector<TransformerConfig> all_schemes(int context) {
  std::vector<TransformerConfig> configs;
  for (const auto positions : {PositionScheme::learned, PositionScheme::rotary})
    for (const auto tokens : {TokenScheme::fused, TokenScheme::separate})
      configs.push_back({.width = 8,
                         .layer_count = 2,
                         .head_count = 2,
                         .hidden = 12,
                         .context = context,
                         .positions = positions,
                         .tokens = tokens,
                         .reward_scale = 0.5});
  configs.push_back(configs.back());  // layers of different sizes
  configs.back().layer_heads = {1, 2};
  configs.back().layer_hidden = {12, 5};
  return configs;
}

}  // namespace icrl::test
