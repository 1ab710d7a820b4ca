// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/fake_quant_transformer.hpp>

#include <vector>

#include <icrl/train/distil.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_run.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

using TwoBits = FakeQuantTransformer<FakeQuant{.bits = 2}, FakeQuant{.bits = 8}>;
using RoundedTokens = FakeQuantTransformer<FakeQuant{.bits = 4, .inputs = InputRounding::per_token}>;
using LearnedRange =
    FakeQuantTransformer<FakeQuant{.bits = 3, .learns_steps = false, .inputs = InputRounding::learned_range}>;
static_assert(Trainable<TwoBits> && Streaming<TwoBits> && !HasBf16Pass<TwoBits>);

struct LossesOfUpdates {
  std::vector<double> values;
  void on_update(const DistilMetrics& metrics) { values.push_back(metrics.loss); }
};

template <typename M>
std::vector<Matrix<float>> outputs_over(const M& model, const ContextBatch& windows) {
  typename M::Cache cache;
  std::vector<float> rows;
  std::vector<Matrix<float>> all;
  for (int window = 0; window < windows.sequence_count; ++window) {
    const int steps = windows.lengths[static_cast<std::size_t>(window)];
    all.emplace_back(steps, model.actions.parameter_count());
    model.forward(windows.rows_of(window, rows), steps, cache, all.back());
  }
  return all;
}

template <typename M>
void check_training(const SmallRun& run, const Calibration* calibration) {
  auto model = to_fake_quant<M>(run.model<float>(), calibration);
  LossesOfUpdates losses;
  (void)distil(model, run.sampler, small_distil(40), losses);
  CHECK(losses.values.back() < 0.95 * losses.values.front());
}

}  // namespace

TEST_CASE("A model for quantization begins as the rounded model and converts without an error", "[compress]") {
  const SmallRun run;
  const auto model = run.model<float>();
  ContextBatch windows;
  run.sampler.sample(4, Rng{2}, windows);
  auto trained = to_fake_quant<TwoBits>(model);
  const QuantizedModel before = from_fake_quant(trained);
  const std::vector<QuantizationRule> rules{{"head", WeightQuantization{.bits = 8}},
                                            {"*", WeightQuantization{.bits = 2}}};
  const QuantizedModel rounded = quantize_weights(model, rules);
  for (const QuantizedMap& map : rounded.maps) {
    INFO(map.name);
    CHECK(before.find(map.name)->bits == map.weight.bits);
    const Matrix<float> found = dequantized(*before.find(map.name)), searched = dequantized(map.weight);
    CHECK((found - searched).norm() < 0.06f * searched.norm());
  }

  (void)distil(trained, run.sampler, small_distil(10));
  const QuantizedModel after = from_fake_quant(trained);
  CHECK(after.maps.size() == 9);
  CHECK(after.find("head")->bits == 8);
  for (const QuantizedMap& map : after.maps) validate(map.weight, map.name);
  CHECK(after.find("blocks.0.mlp.up")->codes != before.find("blocks.0.mlp.up")->codes);
  CHECK(outputs_over(after.dequantized, windows) == outputs_over(trained, windows));
}

TEST_CASE("Models for quantization are distilled and their loss falls", "[compress]") {
  const SmallRun run;
  const Calibration calibration = calibrate(run.model<float>(), run.sampler, 4, Rng{1});
  check_training<TwoBits>(run, nullptr);
  check_training<RoundedTokens>(run, nullptr);
  check_training<LearnedRange>(run, &calibration);
}

TEST_CASE("Learned steps and ranges move, and a learned range begins at what calibration saw", "[compress]") {
  const SmallRun run;
  const auto model = run.model<float>();
  const Calibration calibration = calibrate(model, run.sampler, 4, Rng{1});
  auto trained = to_fake_quant<LearnedRange>(model, &calibration);
  const float range = std::exp(trained.blocks[0].feed_forward.down.log_clip(0));
  CHECK(range == Approx(calibration.find("blocks.0.mlp.down")->magnitudes.largest()));
  (void)distil(trained, run.sampler, small_distil(20));
  CHECK(std::exp(trained.blocks[0].feed_forward.down.log_clip(0)) != range);

  auto steps = to_fake_quant<TwoBits>(model);
  const RowVector<float> before = steps.blocks[1].attention.qkv.log_steps;
  (void)distil(steps, run.sampler, small_distil(20));
  CHECK(steps.blocks[1].attention.qkv.log_steps != before);

  const Calibration heads{model, "head"};
  CHECK(has(error_of([&] { (void)to_fake_quant<LearnedRange>(model, &heads); }),
            "no inputs of the linear layer blocks.0.attention.qkv"));
}

TEST_CASE("A model is trained for quantization with dropout, too", "[compress]") {
  const SmallRun run;
  auto model = to_fake_quant<TwoBits>(run.model<float>());
  DistilConfig config = small_distil(40);
  config.dropout = {.embedding = 0.1, .residual = 0.1, .attention = 0.1};
  LossesOfUpdates losses;
  (void)distil(model, run.sampler, config, losses);
  CHECK(losses.values.back() < losses.values.front());
}
