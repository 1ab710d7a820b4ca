// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/to_int8.hpp>

#include <limits>

#include <icrl/model/fingerprint.hpp>
#include <icrl/model/tensors.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/quantized_maps.hpp"
#include "support/small_model.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("An integer model's tensors are the float model's, rounded", "[compress]") {
  const CausalTransformer<float> model = small_model(small_config(6), id_layout());

  const Int8Transformer quantized = to_int8(model);

  CHECK(quantized.config == Int8TransformerConfig{model.config});
  CHECK(quantized.layout == model.layout);
  const Matrix<float>& up = model.blocks[1].feed_forward.up.weight;
  const Matrix<float> rounded = dequantized(quantized.blocks[1].up.quantized());
  for (Index o = 0; o < up.cols(); ++o)
    CHECK((rounded - up).col(o).cwiseAbs().maxCoeff<Eigen::PropagateNaN>() <=
          0.51f * up.col(o).cwiseAbs().maxCoeff() / 127);
  CHECK(static_cast<float>(quantized.head.bias(2)) == Approx(model.head.bias(2)).epsilon(1e-3));
  CHECK(static_cast<float>(quantized.blocks[0].feed_forward_norm.gain(3)) ==
        Approx(model.blocks[0].feed_forward_norm.gain(3)).epsilon(1e-3));
  // Observation tables of 4 and 5 ids, then that of 3 actions and of no action.
  const float* const table = row_data(model.embedding.action_tables[0], 1);
  for (Index c = 0; c < 16; ++c) {
    CHECK(static_cast<float>(quantized.embedding.rows(10, c)) * quantized.embedding.scale_of(10) ==
          Approx(table[c]).margin(0.005));
  }
}

TEST_CASE("Layers of different widths are told apart by the configuration", "[compress]") {
  Rng rng{1};
  const CausalTransformer<float> model = small_model(small_config(6), id_layout());
  QuantizedMaps maps = random_maps(model, 4, 8, rng);
  CHECK(to_int8(model, maps).config.weight_bits == 4);
  CHECK(to_int8(model, maps).config.layer_bits.empty());
  CHECK(to_int8(model, maps).config.group == 8);
  for (const char* name : {"attention.qkv", "attention.output", "mlp.up", "mlp.down"})
    maps.erase(std::string{"blocks.0."} + name);

  const Int8Transformer mixed = to_int8(model, maps);

  CHECK(mixed.config.layer_bits == std::vector<int>{8, 4});
  CHECK(mixed.config.head_bits == 8);
  std::int64_t numbers = 0;
  for (const TensorView& tensor : tensors_of(mixed))
    numbers += static_cast<std::int64_t>(tensor.bytes.size()) * 8 / dtype_bits(tensor.dtype);
  CHECK(numbers == Int8Transformer::weight_count(mixed.config, mixed.layout));
}

TEST_CASE("A quantizer's weights make the same integer model as its maps by name", "[compress]") {
  const CausalTransformer<float> model = small_model(small_config(6), id_layout());
  const QuantizationRule rules[] = {
      {"blocks.*", WeightQuantization{.bits = 4, .rounding = Rounding::nearest, .group = 8}}};
  const QuantizedModel quantized = quantize_weights(model, rules);
  QuantizedMaps maps;
  for (const QuantizedMap& map : quantized.maps) maps.emplace(map.name, map.weight);

  const Int8Transformer found = to_int8(quantized);

  CHECK(found.config.weight_bits == 4);
  CHECK(found.config.head_bits == 8);
  CHECK(fingerprint(found) == fingerprint(to_int8(model, maps)));
}

TEST_CASE("Maps that make no model are refused by name", "[compress]") {
  Rng rng{2};
  CausalTransformer<float> model = small_model(small_config(6), id_layout());
  const auto error_with = [&](const char* name, const QuantizedMatrix& matrix) {
    return error_of([&] { (void)to_int8(model, {{name, matrix}}); });
  };

  CHECK(error_with("blocks.0.mlp.up", random_quantized(16, 63, 8, 0, rng)) ==
        "blocks.0.mlp.up: quantized weights are 16x63, the model's 16x64");
  CHECK(error_with("blocks.2.mlp.up", random_quantized(16, 64, 8, 0, rng)) ==
        "to_int8: 0 of 1 quantized maps are the model's (names such as \"blocks.0.mlp.up\"; given: blocks.2.mlp.up)");
  CHECK(error_with("blocks.1.mlp.up", random_quantized(16, 64, 4, 8, rng)) ==
        "to_int8: blocks.1 has maps of 8 and of 4 bits, all maps of a block must have the same");
  QuantizedMaps maps = random_maps(model, 4, 8, rng);
  maps["head"] = random_quantized(16, 3, 3, 4, rng);
  CHECK(has(error_of([&] { (void)to_int8(model, maps); }), "has groups of"));
  maps["head"] = random_quantized(16, 3, 4, 0, rng);  // without groups
  CHECK(has(error_of([&] { (void)to_int8(model, maps); }), "has groups of"));
  model.blocks[0].attention.output.weight(0, 0) = std::numeric_limits<float>::quiet_NaN();
  CHECK(error_of([&] { (void)to_int8(model); }) ==
        "blocks.0.attention.output, output 0: a weight is nan, but integer models hold at most 8000");
}
