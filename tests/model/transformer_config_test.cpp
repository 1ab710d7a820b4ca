// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/transformer_config.hpp>

#include <string>

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

  CHECK(error_of([&] { validate(config); }) ==
        "transformer: with 256 layers of width 2, keys and values of 1048576 tokens are 1073741824 numbers, at most "
        "268435456 are allowed (use a shorter context)");
  config.context = 1 << 18;
  CHECK_NOTHROW(validate(config));
  config.tokens = TokenScheme::separate;
  CHECK_THROWS_AS(validate(config), Error);
}

TEST_CASE("Layers have the heads and the hidden width of the configuration, or their own", "[model]") {
  const TransformerConfig same{.width = 24, .layer_count = 2, .head_count = 6};
  const TransformerConfig own{
      .width = 24, .layer_count = 2, .head_count = 6, .layer_heads = {6, 1}, .layer_hidden = {5, 65536}};

  CHECK_NOTHROW(validate(own));
  CHECK(same.head_size() == 4);
  CHECK((same.heads_of(1) == 6 && same.hidden_of(1) == 96));
  CHECK((own.heads_of(0) == 6 && own.heads_of(1) == 1));
  CHECK((own.hidden_of(0) == 5 && own.hidden_of(1) == 65536));
  CHECK(describe(own) == describe(same) + ", heads by layer 6 1, hidden by layer 5 65536");
}

TEST_CASE("Lists by layer that make no model are refused", "[model]") {
  const auto error = [](auto change) {
    TransformerConfig config{.width = 24, .layer_count = 2, .head_count = 6};
    change(config);
    return error_of([&] { validate(config); });
  };

  CHECK(error([](auto& c) { c.layer_heads = {6}; }) ==
        "transformer: layer_heads has 1 entries, layer_count is 2 (leave it empty if all layers are alike)");
  CHECK(has(error([](auto& c) { c.layer_hidden = {6, 6, 6}; }), "layer_hidden has 3 entries, layer_count is 2"));
  CHECK(error([](auto& c) {
          c.layer_heads = {6, 7};
        }) == "transformer: layer_heads[1] is 7, it can be at most head_count, 6");
  CHECK(has(error([](auto& c) { c.layer_heads = {0, 6}; }), "layer_heads[0] is 0, it must lie in 1 .. 1024"));
  CHECK(has(error([](auto& c) {
              c.layer_hidden = {6, 65537};
            }),
            "layer_hidden[1] is 65537, it must lie in 1 .. 65536"));
}

TEST_CASE("Layers with fewer heads keep fewer keys and values", "[model]") {
  TransformerConfig config{.width = 64, .layer_count = 4, .head_count = 4, .hidden = 1, .context = 1 << 20};
  const TransformerConfig uniform = config;
  config.layer_heads = {4, 1, 1, 1};

  CHECK_NOTHROW(validate(config));
  CHECK(has(error_of([&] { validate(uniform); }), "are 536870912 numbers"));
}

TEST_CASE("A transformer's configuration explains itself", "[model]") {
  const std::string help = help_text<TransformerConfig>();

  CHECK(has(help, "width (64): numbers per token, a multiple of head_count; 1 .. 8192\n"));
  CHECK(has(help, "layer_heads (none): attention heads of each layer; none, or each in 1 .. 1024\n"));
}
