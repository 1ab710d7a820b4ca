// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <tuple>
#include <vector>

#include <icrl/core/config_fields.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/history/step_layout.hpp>

namespace icrl {

/// Where a token's position enters: as a learned vector added to the token, or by rotating queries and keys (RoPE).
enum class PositionScheme { learned, rotary };
/// The names of position schemes in files and descriptions.
inline constexpr EnumName<PositionScheme> position_names[] = {{PositionScheme::learned, "learned"},
                                                              {PositionScheme::rotary, "rotary"}};

/// How an environment step becomes tokens: `fused` is one token (observation, previous action, previous reward);
/// `separate` is three, previous action, previous reward, observation, which is the order s, a, r, s, a, r, ... of
/// Laskin et al. (2022) with two null tokens in front.
enum class TokenScheme { fused, separate };
/// The names of token schemes in files and descriptions.
inline constexpr EnumName<TokenScheme> token_names[] = {{TokenScheme::fused, "fused"},
                                                        {TokenScheme::separate, "separate"}};

/// The shape of a `CausalTransformer`.
struct TransformerConfig {
  int width = 64;       ///< C, numbers per token; a multiple of head_count
  int layer_count = 4;  ///< blocks
  int head_count = 4;   ///< attention heads
  int hidden = 0;       ///< width of the feed-forward layer between its two matrices; 0 means 4 * width
  int context = 80;     ///< T, the most environment steps that the model looks back on
  PositionScheme positions = PositionScheme::learned;  ///< where positions enter
  TokenScheme tokens = TokenScheme::fused;             ///< how a step becomes tokens
  WindowStart window_start = WindowStart::episode;     ///< where the windows that it was trained on begin
  double reward_scale = 1;                             ///< rewards are multiplied by this before they are embedded
  std::vector<int> layer_heads{};   ///< heads of each layer, all of head_size(); empty: head_count in every layer
  std::vector<int> layer_hidden{};  ///< hidden width of each layer; empty: hidden_size() in every layer
  /// Channels, kernel and stride of each convolution of an encoder of images; empty: chosen by the image's size.
  std::vector<int> convolutions{};

  /// `hidden`, or its default 4 * width.
  [[nodiscard]] int hidden_size() const { return hidden > 0 ? hidden : 4 * width; }
  /// D, numbers per head: width / head_count.
  [[nodiscard]] int head_size() const { return width / head_count; }
  /// Tokens that a step becomes: 1 or 3.
  [[nodiscard]] int tokens_per_step() const { return tokens == TokenScheme::fused ? 1 : 3; }
  /// Tokens of the longest window.
  [[nodiscard]] int token_count() const { return context * tokens_per_step(); }

  /// Heads of layer `layer`, from 0.
  [[nodiscard]] int heads_of(int layer) const { return entry_or(layer_heads, layer, head_count); }
  /// Hidden width of layer `layer`, from 0.
  [[nodiscard]] int hidden_of(int layer) const { return entry_or(layer_hidden, layer, hidden_size()); }

  /// Model files hold the keys, and descriptions in checkpoints and agent memories hold the texts: do not change
  /// either.
  static constexpr auto fields() {
    using C = TransformerConfig;
    constexpr double max_scale = static_cast<double>(std::numeric_limits<float>::max());
    return std::tuple{
        IntField<C>{"width", &C::width, 1, 8192, "width {}", "numbers per token, a multiple of head_count"},
        IntField<C>{"layer_count", &C::layer_count, 1, 256, "layers {}", "blocks"},
        IntField<C>{"head_count", &C::head_count, 1, 1024, "heads {}", "attention heads per layer"},
        IntField<C>{"hidden", &C::hidden, 0, 65536, "hidden {}", "width inside the feed-forward layer, 0 = 4 * width",
                    &C::hidden_size},
        IntField<C>{"context", &C::context, 1, 1 << 20, "context {}", "environment steps that the model looks back on"},
        EnumField<C, PositionScheme>{"positions", &C::positions, position_names, "{} positions",
                                     "how a token's position enters"},
        EnumField<C, TokenScheme>{"tokens", &C::tokens, token_names, "{} tokens",
                                  "one token per environment step, or three"},
        EnumField<C, WindowStart>{"window_start", &C::window_start, window_start_names, "windows that start {}",
                                  "where the windows that it is trained on begin"},
        RealField<C>{"reward_scale", &C::reward_scale, -max_scale, max_scale, "reward scale {}",
                     "rewards are multiplied by it"},
        IntListField<C>{"layer_heads", &C::layer_heads, 1, 1024, "heads by layer {}", "attention heads of each layer"},
        IntListField<C>{"layer_hidden", &C::layer_hidden, 1, 65536, "hidden by layer {}",
                        "width inside each feed-forward layer"},
        IntListField<C>{"convolutions", &C::convolutions, 1, 4096, "convolutions {}",
                        "channels, kernel and stride of each convolution of an encoder of images"}};
  }

  friend bool operator==(const TransformerConfig&, const TransformerConfig&) = default;

private:
  static int entry_or(const std::vector<int>& values, int layer, int otherwise) {
    return static_cast<std::size_t>(layer) < values.size() ? values[static_cast<std::size_t>(layer)] : otherwise;
  }
};

/// Throws Error naming the first invalid value. Sizes are bounded so that a damaged file cannot cause a huge
/// allocation.
inline void validate(const TransformerConfig& config) {
  validate_fields(config, "transformer");
  if (config.width % config.head_count != 0)
    fail("transformer: width is {}, it must be a multiple of head_count, {}", config.width, config.head_count);
  const auto check_layers = [&](const char* name, const std::vector<int>& values) {
    if (!values.empty() && values.size() != static_cast<std::size_t>(config.layer_count)) {
      fail("transformer: {} has {} entries, layer_count is {} (leave it empty if all layers are alike)", name,
           values.size(), config.layer_count);
    }
  };
  check_layers("layer_heads", config.layer_heads);
  check_layers("layer_hidden", config.layer_hidden);
  for (int i = 0; i < config.layer_count; ++i) {
    if (config.heads_of(i) > config.head_count) {
      fail("transformer: layer_heads[{}] is {}, it can be at most head_count, {}", i, config.heads_of(i),
           config.head_count);
    }
  }
  if (config.positions == PositionScheme::rotary && config.head_size() % 2 != 0) {
    fail("transformer: rotary positions need heads of an even size, but width / head_count is {}", config.head_size());
  }
  if (config.convolutions.size() % 3 != 0) {
    fail("transformer: convolutions has {} entries, it needs 3 per convolution: channels, kernel and stride",
         config.convolutions.size());
  }
  constexpr int max_angles = 1 << 26;  // of a rotary table, which no weight of a file pays for
  if (config.positions == PositionScheme::rotary && config.token_count() > max_angles / config.head_size()) {
    fail("transformer: rotary positions of {} tokens with heads of size {} need a table of more than {} numbers",
         config.token_count(), config.head_size(), max_angles);
  }
  constexpr std::int64_t max_cached = 1 << 28;  // keys and values of one context, which no weight pays for either
  std::int64_t cached = 0;
  for (int i = 0; i < config.layer_count; ++i)
    cached += std::int64_t{2} * config.heads_of(i) * config.head_size() * config.token_count();
  if (cached > max_cached) {
    fail(
        "transformer: with {} layers of width {}, keys and values of {} tokens are {} numbers, at most {} are allowed "
        "(use a shorter context)",
        config.layer_count, config.width, config.token_count(), cached, max_cached);
  }
}

}  // namespace icrl
