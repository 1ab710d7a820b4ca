// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/model/step_embedding.hpp>
#include <icrl/model/transformer_config.hpp>
#include <icrl/nn/block.hpp>

// What the shape of a transformer says about its parts, for every model that has this shape.
namespace icrl::detail {

[[nodiscard]] inline StepEmbeddingConfig embedding_config(const TransformerConfig& shape) {
  return {.width = shape.width,
          .tokens = shape.tokens,
          .position_count = shape.positions == PositionScheme::learned ? shape.token_count() : 0,
          .reward_scale = shape.reward_scale,
          .convolutions = shape.convolutions};
}

[[nodiscard]] inline BlockShape block_shape(const TransformerConfig& shape, int layer) {
  return {.width = shape.width,
          .heads = shape.heads_of(layer),
          .head_size = shape.head_size(),
          .hidden = shape.hidden_of(layer)};
}

}  // namespace icrl::detail
