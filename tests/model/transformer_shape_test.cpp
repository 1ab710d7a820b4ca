// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/transformer_shape.hpp>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("A transformer's shape says how large its blocks are, layer by layer", "[model]") {
  const TransformerConfig shape{
      .width = 24, .layer_count = 2, .head_count = 3, .hidden = 40, .layer_heads = {3, 1}, .layer_hidden = {40, 8}};

  const BlockShape first = detail::block_shape(shape, 0), second = detail::block_shape(shape, 1);

  CHECK(first.width == 24);
  CHECK(first.heads == 3);
  CHECK(first.head_size == 8);
  CHECK(first.hidden == 40);
  CHECK(second.heads == 1);
  CHECK(second.head_size == 8);
  CHECK(second.hidden == 8);
}

TEST_CASE("Only learned positions have rows in the embedding", "[model]") {
  TransformerConfig shape{.width = 8, .head_count = 2, .context = 5};

  shape.positions = PositionScheme::learned;
  CHECK(detail::embedding_config(shape).position_count == shape.token_count());
  shape.positions = PositionScheme::rotary;
  CHECK(detail::embedding_config(shape).position_count == 0);
  CHECK(detail::embedding_config(shape).width == 8);
}
