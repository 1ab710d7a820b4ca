// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstdint>

#include <icrl/core/fail.hpp>
#include <icrl/history/step_layout.hpp>

namespace icrl {

/// Where a token's position enters: as a learned vector added to the token, or by turning queries and keys (RoPE).
enum class PositionScheme { learned, rotary };

/// How an environment step becomes tokens: `fused` is one token (observation, previous action, previous reward);
/// `separate` is three, previous action, previous reward, observation, which is the order s, a, r, s, a, r, ... of
/// Laskin et al. (2022) with two null tokens in front.
enum class TokenScheme { fused, separate };

/// The shape of a `CausalTransformer`.
struct TransformerConfig {
  int width = 64;       ///< C, numbers a token; a multiple of head_count
  int layer_count = 4;  ///< blocks
  int head_count = 4;   ///< attention heads
  int hidden = 0;       ///< width of the MLP between its two matrices; 0 means 4 * width
  int context = 80;     ///< T, the most environment steps that the model looks back on
  PositionScheme positions = PositionScheme::learned;
  TokenScheme tokens = TokenScheme::fused;
  WindowStart window_start = WindowStart::episode;  ///< where the windows that it was trained on begin
  double reward_scale = 1;                          ///< rewards are multiplied by this before they are embedded

  [[nodiscard]] int hidden_size() const { return hidden > 0 ? hidden : 4 * width; }
  [[nodiscard]] int tokens_per_step() const { return tokens == TokenScheme::fused ? 1 : 3; }
  [[nodiscard]] int token_count() const { return context * tokens_per_step(); }

  friend bool operator==(const TransformerConfig&, const TransformerConfig&) = default;
};

/// Throws Error naming the first value that makes no model. Sizes are bounded so that a damaged file cannot ask for the
/// machine's whole memory.
inline void validate(const TransformerConfig& config) {
  const auto in_range = [](const char* name, int value, int least, int most) {
    if (value < least || value > most) fail("transformer: {} is {}, it must lie in {} .. {}", name, value, least, most);
  };
  in_range("width", config.width, 1, 8192);
  in_range("layer_count", config.layer_count, 1, 256);
  in_range("head_count", config.head_count, 1, 1024);
  in_range("hidden", config.hidden, 0, 65536);
  in_range("context", config.context, 1, 1 << 20);
  if (config.width % config.head_count != 0)
    fail("transformer: width {} is no multiple of head_count {}", config.width, config.head_count);
  if (config.positions == PositionScheme::rotary && (config.width / config.head_count) % 2 != 0) {
    fail("transformer: rotary positions turn pairs, but a head has {} numbers (width / head_count)",
         config.width / config.head_count);
  }
  constexpr int most_angles = 1 << 26;  // of a rotary table, which no weight of a file pays for
  if (config.positions == PositionScheme::rotary &&
      config.token_count() > most_angles / (config.width / config.head_count)) {
    fail("transformer: rotary positions of {} tokens in heads of {} numbers take a table of more than {} numbers",
         config.token_count(), config.width / config.head_count, most_angles);
  }
  constexpr std::int64_t most_cached = 1 << 28;  // keys and values of one context, which no weight pays for either
  const std::int64_t cached = std::int64_t{2} * config.layer_count * config.width * config.token_count();
  if (cached > most_cached) {
    fail(
        "transformer: {} layers of width {} over {} tokens keep {} keys and values, {} are possible (a smaller "
        "context?)",
        config.layer_count, config.width, config.token_count(), cached, most_cached);
  }
  if (!std::isfinite(static_cast<float>(config.reward_scale)))
    fail("transformer: reward_scale is {}", config.reward_scale);
}

}  // namespace icrl
