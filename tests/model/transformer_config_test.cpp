// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/transformer_config.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("A configuration of few weights cannot ask for a key-value cache of gigabytes", "[model]") {
  // Its weights take 309 KB. Two contexts, as an agent opens them, would take 8.6 GB.
  TransformerConfig config{.width = 2,
                           .layer_count = 256,
                           .head_count = 1,
                           .hidden = 1,
                           .context = 1 << 20,
                           .positions = PositionScheme::rotary};

  CHECK(
      error_of([&] { validate(config); }) ==
      "transformer: 256 layers of width 2 over 1048576 tokens keep 1073741824 keys and values, 268435456 are possible "
      "(a smaller context?)");
  config.context = 1 << 18;
  CHECK_NOTHROW(validate(config));
  config.tokens = TokenScheme::separate;
  CHECK_THROWS_AS(validate(config), Error);
}
