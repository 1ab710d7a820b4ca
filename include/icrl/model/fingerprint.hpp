// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <icrl/core/checksum.hpp>
#include <icrl/model/concepts.hpp>
#include <icrl/model/transformer_config.hpp>

namespace icrl {

/// What kind of model this is: two models of one kind can exchange weights.
template <SequenceModel M>
[[nodiscard]] std::string describe(const M& model) {
  const TransformerConfig& config = model.config;
  return fmt::format(
      "{}-bit, width {}, layers {}, heads {}, hidden {}, context {}, {} positions, {} tokens, windows that start "
      "{}, reward scale {}, observations {}, actions {}, {} closing token",
      8 * sizeof(typename M::Scalar), config.width, config.layer_count, config.head_count, config.hidden_size(),
      config.context, config.positions == PositionScheme::learned ? "learned" : "rotary",
      config.tokens == TokenScheme::fused ? "fused" : "separate", to_string(config.window_start), config.reward_scale,
      to_string(model.layout.observation_space), to_string(model.layout.action_space),
      model.layout.closing_token ? "with" : "no");
}

/// CRC-32C over the names and bytes of all weights.
template <SequenceModel M>
requires Parameterized<M>
[[nodiscard]] std::uint32_t weights_checksum(const M& model) {
  std::uint32_t checksum = 0;
  for (const auto& p : parameters_of(model)) {
    checksum = crc32c(std::as_bytes(std::span{p.name}), checksum);
    checksum = crc32c(std::as_bytes(p.numbers()), checksum);
  }
  return checksum;
}

/// Tells one trained model from another.
template <SequenceModel M>
requires Parameterized<M>
[[nodiscard]] std::string fingerprint(const M& model) {
  return fmt::format("{}, weights {:08x}", describe(model), weights_checksum(model));
}

}  // namespace icrl
