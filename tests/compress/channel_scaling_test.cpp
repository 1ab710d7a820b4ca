// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/channel_scaling.hpp>

#include <cmath>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_run.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

template <typename S>
std::vector<Matrix<S>> window_outputs(const CausalTransformer<S>& model, const ContextBatch& windows) {
  typename CausalTransformer<S>::Cache cache;
  std::vector<float> rows;
  std::vector<Matrix<S>> all;
  for (int window = 0; window < windows.sequence_count; ++window) {
    const int steps = windows.lengths[static_cast<std::size_t>(window)];
    all.emplace_back(steps, model.actions.parameter_count());
    model.forward(windows.rows_of(window, rows), steps, cache, all.back());
  }
  return all;
}

/// All channels of a model by factors from `draw()`.
template <typename S, typename Draw>
void scale_by(CausalTransformer<S>& model, Draw&& draw) {
  const auto factors = [&](Index count) {
    RowVector<S> drawn(count);
    for (Index i = 0; i < count; ++i) drawn(i) = static_cast<S>(draw());
    return drawn;
  };
  for (auto& block : model.blocks) {
    scale_channels(factors(16), block.attention);
    scale_channels(factors(16), block.attention_norm, block.attention.qkv);
    scale_channels(factors(16), block.feed_forward_norm, block.feed_forward.up);
  }
  scale_channels(factors(16), model.final_norm, model.head);
}

double largest_difference(const auto& a, const auto& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto difference = static_cast<double>((a[i] - b[i]).cwiseAbs().template maxCoeff<Eigen::PropagateNaN>());
    if (!(difference <= largest)) largest = difference;
    if (std::isnan(largest)) break;
  }
  return largest;
}

}  // namespace

TEST_CASE("Scaled channels change no output", "[compress]") {
  const SmallRun run;
  ContextBatch windows;
  run.sampler.sample(3, Rng{2}, windows);
  const auto exact = run.model<double>();
  auto scaled = exact;
  Rng rng{1};
  scale_by(scaled, [&] { return std::exp(rng.normal()); });
  CHECK(scaled.blocks[0].attention.qkv.weight != exact.blocks[0].attention.qkv.weight);
  CHECK(largest_difference(window_outputs(exact, windows), window_outputs(scaled, windows)) < 1e-12);
}

TEST_CASE("Channels scaled by powers of two leave the outputs' bits", "[compress]") {
  const SmallRun run;
  ContextBatch windows;
  run.sampler.sample(3, Rng{2}, windows);
  const auto exact = run.model<float>();
  auto scaled = exact;
  Rng rng{1};
  scale_by(scaled, [&] { return std::exp2(rng.below(9) - 4); });
  CHECK(window_outputs(exact, windows) == window_outputs(scaled, windows));
}

TEST_CASE("Statistics of divided inputs are those of a scaled model", "[compress]") {
  const SmallRun run;
  const auto model = run.model<float>();
  const Calibration before = calibrate(model, run.sampler, 4, Rng{1});
  auto scaled = model;
  RowVector<float> factors(16);
  for (Index i = 0; i < 16; ++i) factors(i) = 0.5f + 0.25f * static_cast<float>(i);
  scale_channels(factors, scaled.blocks[1].feed_forward_norm, scaled.blocks[1].feed_forward.up);
  const Calibration after = calibrate(scaled, run.sampler, 4, Rng{1});
  const InputStatistics expected = divided(*before.find("blocks.1.mlp.up"), factors);
  const InputStatistics& found = *after.find("blocks.1.mlp.up");
  CHECK(expected.rows == found.rows);
  CHECK((expected.second_moments - found.second_moments).norm() < 1e-5 * found.second_moments.norm());
  CHECK((expected.largest - found.largest).norm() < 1e-5f * found.largest.norm());
  CHECK((expected.sums - found.sums).norm() < 1e-4 * found.sums.norm());
}

TEST_CASE("Smoothing with alpha 1 gives every input one range, with alpha 0 every row of weights", "[compress]") {
  const SmallRun run;
  const auto model = run.model<float>();
  const Calibration calibration = calibrate(model, run.sampler, 4, Rng{1});
  const auto even_inputs = smooth_channels(model, calibration, 1),
             even_weights = smooth_channels(model, calibration, 0);
  const Calibration after = calibrate(even_inputs, run.sampler, 4, Rng{1});
  for (const char* const name : {"blocks.0.attention.qkv", "blocks.1.mlp.up", "head"}) {
    const RowVector<float>& largest = after.find(name)->largest;
    CHECK(largest.minCoeff() == Approx(1).epsilon(1e-3));
    CHECK(largest.maxCoeff() == Approx(1).epsilon(1e-3));
  }
  for (Index i = 0; i < 16; ++i)
    CHECK(even_weights.blocks[0].feed_forward.up.weight.row(i).cwiseAbs().maxCoeff() == Approx(1));
  ContextBatch windows;
  run.sampler.sample(3, Rng{2}, windows);
  CHECK(largest_difference(window_outputs(model, windows),
                           window_outputs(smooth_channels(model, calibration), windows)) < 1e-4);
}

TEST_CASE("Protected channels leave less error where inputs differ in size", "[compress]") {
  const SmallRun run;
  auto model = run.model<float>();
  for (auto& block : model.blocks) {
    block.feed_forward_norm.gain.head(2) *= 30;
    block.feed_forward.up.weight.topRows(2) /= 10;
  }
  const Calibration calibration = calibrate(model, run.sampler, 8, Rng{1});
  const std::vector<QuantizationRule> rules{{"*.mlp.up", WeightQuantization{.bits = 3, .rounding = Rounding::nearest}}};
  const auto scaled = protect_channels(model, calibration, rules);
  CHECK(scaled.blocks[0].attention.qkv.weight == model.blocks[0].attention.qkv.weight);  // no rule for it
  const Calibration after = calibrate(scaled, run.sampler, 8, Rng{1});
  const QuantizedModel plain = quantize_weights(model, rules, &calibration),
                       protected_one = quantize_weights(scaled, rules, &after);
  for (std::size_t i = 0; i < 2; ++i) CHECK(protected_one.maps[i].error.outputs < 0.7 * plain.maps[i].error.outputs);
  ContextBatch windows;
  run.sampler.sample(3, Rng{2}, windows);
  CHECK(largest_difference(window_outputs(model, windows), window_outputs(scaled, windows)) < 1e-3);
}

TEST_CASE("Channel scaling refuses what it cannot do", "[compress]") {
  const SmallRun run;
  const auto model = run.model<float>();
  const Calibration empty{model}, head{model, "head"};
  CHECK(has(error_of([&] { (void)smooth_channels(model, empty, 2); }), "alpha is 2"));
  CHECK(has(error_of([&] { (void)smooth_channels(model, empty); }),
            "no inputs of the linear layer blocks.0.attention.output"));
  CHECK(has(error_of([&] { (void)smooth_channels(model, head); }),
            "no inputs of the linear layer blocks.0.attention.output"));
  InputStatistics dead{2};
  dead.add(Matrix<float>{{0, 3}});
  const RowVector<float> factors = smoothing_factors(dead, Matrix<float>{{1}, {0}}, 0.5);
  CHECK(factors == RowVector<float>::Ones(2));
}
