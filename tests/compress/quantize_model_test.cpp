// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/quantize_model.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_run.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("The first rule that matches a map decides, and others stay as they are", "[compress]") {
  const SmallRun run;
  const auto model = run.model<float>();
  const std::vector<QuantizationRule> rules{{"blocks.0.*", WeightQuantization{.bits = 4}},
                                            {"*.mlp.down", std::nullopt},
                                            {"blocks.*", WeightQuantization{.bits = 2, .rounding = Rounding::nearest}}};
  const QuantizedModel result = quantize_weights(model, rules);

  CHECK(result.maps.size() == 7);
  CHECK(result.find("blocks.0.mlp.down")->bits == 4);
  CHECK(result.find("blocks.1.mlp.up")->bits == 2);
  CHECK(result.find("blocks.1.mlp.down") == nullptr);
  CHECK(result.find("head") == nullptr);
  for_each_linear_map(model, result.dequantized, [&](std::string_view name, const auto& before, const auto& after) {
    INFO(name);
    CHECK(before.bias == after.bias);
    if (const QuantizedMatrix* const matrix = result.find(name)) {
      CHECK(after.weight == dequantized(*matrix));
    } else {
      CHECK(after.weight == before.weight);
    }
  });
  CHECK(result.maps[0].error.weights > 0);
  CHECK(result.dequantized.embedding.observation_tables[0] == model.embedding.observation_tables[0]);
}

TEST_CASE("Rounding in turn measures the inputs that rounded maps give", "[compress]") {
  const SmallRun run;
  const auto model = run.model<float>();
  ContextBatch windows;
  run.sampler.sample(12, Rng{4}, windows);
  Calibration calibration{model};
  calibration.add(model, windows);
  const std::vector<QuantizationRule> rules{{"*", WeightQuantization{.bits = 2, .rounding = Rounding::gptq}}};
  const QuantizedModel at_once = quantize_weights(model, rules, &calibration);
  const QuantizedModel in_turn = quantize_weights_in_turn(model, rules, windows);

  CHECK(at_once.maps.size() == 9);
  CHECK(in_turn.maps.size() == 9);
  CHECK(in_turn.find("blocks.0.attention.qkv")->codes == at_once.find("blocks.0.attention.qkv")->codes);
  CHECK(in_turn.find("head")->codes != at_once.find("head")->codes);
  auto half = model;  // all but the head is rounded: what the head then reads
  for_each_linear_map(half, [&](std::string_view name, Linear<float>& map) {
    if (name != "head") map.weight = dequantized(*in_turn.find(name));
  });
  Calibration of_head{half, "head"};
  of_head.add(half, windows);
  CHECK(in_turn.find("head")->codes == quantize(half.head, *rules[0].how, of_head.find("head")).codes);
}

TEST_CASE("Rules that make no sense are refused", "[compress]") {
  const SmallRun run;
  const auto model = run.model<float>();
  const auto error_with = [&](const QuantizationRule& rule) {
    return error_of([&] { (void)quantize_weights(model, std::vector{rule}); });
  };
  CHECK(has(error_with({"blocks.*.mlp.middle", WeightQuantization{}}),
            "no linear layer matches \"blocks.*.mlp.middle\""));
  CHECK(has(error_with({"*", WeightQuantization{.bits = 7}}), "bits is 7"));
  CHECK(has(error_with({"head", WeightQuantization{.rounding = Rounding::gptq}}), "GPTQ needs calibration data"));
}
