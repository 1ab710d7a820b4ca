// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/int8_transformer_config.hpp>

#include <icrl/io/config_json.hpp>
#include <icrl/io/config_text.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("The shape of an integer model is that of a transformer and its bits, in text and JSON", "[compress]") {
  Int8TransformerConfig config{{.width = 32, .layer_count = 2, .layer_heads = {4, 2}}};
  config.weight_bits = 4;
  config.group = 32;
  config.layer_bits = {4, 8};

  validate(config);

  CHECK(describe(config) == describe(static_cast<const TransformerConfig&>(config)) +
                                ", weights of 4 bits, head of 8 bits, groups of 32, bits by layer 4 8");
  const auto json = parse_json(json_text(config).text(), "test");
  CHECK(config_from_json<Int8TransformerConfig>(json, "test") == config);
  CHECK(config.bits_of(0) == 4);
  CHECK(config.bits_of(1) == 8);
}

TEST_CASE("Bits that there are not are refused", "[compress]") {
  const auto error_with = [](auto spoil) {
    Int8TransformerConfig config;
    spoil(config);
    return error_of([&] { validate(config); });
  };

  CHECK(error_with([](auto& c) { c.weight_bits = 5; }) == "quantized weights: bits is 5, it must be 8, 4, 3 or 2");
  CHECK(error_with([](auto& c) { c.head_bits = 1; }) == "int8 transformer: head_bits is 1, it must lie in 2 .. 8");
  CHECK(error_with([](auto& c) {
          c.layer_bits = {8, 8, 6, 8};
        }) == "quantized weights: bits is 6, it must be 8, 4, 3 or 2");
  CHECK(has(error_with([](auto& c) { c.layer_bits = {8}; }), "layer_bits has 1 entries, layer_count is 4"));
  CHECK(has(error_with([](auto& c) { c.width = 30; }), "width is 30, it must be a multiple"));
}
