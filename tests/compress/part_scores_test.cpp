// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/part_scores.hpp>

#include <cmath>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_run.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

ContextBatch batch_of(const SmallRun& run, int windows) {
  ContextBatch batch;
  run.sampler.sample(windows, Rng{5}, batch);
  return batch;
}

double loss_of_window(const CausalTransformer<double>& model, const ContextBatch& batch, int window) {
  CausalTransformer<double> unused = model;
  WindowScratch<CausalTransformer<double>> scratch;
  return window_loss(model, ActionCrossEntropy{}, batch, window, scratch, unused);
}

/// The mean over windows of |dloss/dgate| by central differences; `scale(model, gate)` multiplies what the part adds.
template <typename Scale>
double gate_slope(const CausalTransformer<double>& model, const ContextBatch& batch, Scale scale) {
  constexpr double h = 1e-5;
  auto more = model, less = model;
  scale(more, 1 + h);
  scale(less, 1 - h);
  double total = 0;
  for (int window = 0; window < batch.sequence_count; ++window)
    total += std::abs(loss_of_window(more, batch, window) - loss_of_window(less, batch, window)) / (2 * h);
  return total / batch.sequence_count;
}

using Double = CausalTransformer<double>;

}  // namespace

TEST_CASE("Taylor scores are the loss's slopes along gates, by finite differences", "[compress]") {
  const SmallRun run;
  const auto model = run.model<double>();
  const ContextBatch batch = batch_of(run, 3);

  const PartScores scores = taylor_scores(model, batch);

  const Index size = model.blocks[1].attention.head_size();
  CHECK(scores.heads[1][1] == Approx(gate_slope(model, batch, [&](Double& m, double gate) {
                                m.blocks[1].attention.output.weight.middleRows(size, size) *= gate;
                              })).epsilon(1e-6));
  CHECK(scores.neurons[0][7] == Approx(gate_slope(model, batch, [&](Double& m, double gate) {
                                  m.blocks[0].feed_forward.down.weight.row(7) *= gate;
                                })).epsilon(1e-6));
  CHECK(scores.layers[1] == Approx(gate_slope(model, batch, [&](Double& m, double gate) {
                              m.blocks[1].attention.output.weight *= gate;
                              m.blocks[1].attention.output.bias *= gate;
                              m.blocks[1].feed_forward.down.weight *= gate;
                              m.blocks[1].feed_forward.down.bias *= gate;
                            })).epsilon(1e-6));
}

TEST_CASE("Scores of parts that add nothing are zero, those of others are not", "[compress]") {
  const SmallRun run;
  auto model = run.model<float>();
  model.blocks[0].attention.output.weight.topRows(model.blocks[0].attention.head_size()).setZero();
  model.blocks[1].feed_forward.down.weight.row(3).setZero();

  for (const PartScores& scores : {norm_scores(model), taylor_scores(model, batch_of(run, 2))}) {
    CHECK(scores.heads[0][0] == 0);
    CHECK(scores.heads[0][1] > 0);
    CHECK(scores.neurons[1][3] == 0);
    CHECK(scores.neurons[1][4] > 0);
    CHECK(scores.layers[0] > 0);
  }
}

TEST_CASE("Norm scores by hand", "[compress]") {
  CausalTransformer<float> model{{.width = 2, .layer_count = 1, .head_count = 1, .hidden = 2, .context = 2},
                                 tiny_layout()};
  model.blocks[0].attention.qkv.weight(0, 4) = 3;  // of the values
  model.blocks[0].attention.qkv.weight(1, 5) = 4;
  model.blocks[0].attention.qkv.weight(0, 0) = 100;  // of the queries
  model.blocks[0].attention.output.weight(1, 0) = 2;
  model.blocks[0].feed_forward.up.weight(0, 1) = 7;
  model.blocks[0].feed_forward.down.weight(1, 1) = -1.5f;

  const PartScores scores = norm_scores(model);

  CHECK(scores.heads[0][0] == Approx(10));
  CHECK(scores.neurons[0] == std::vector<double>{0, 10.5});
  CHECK(scores.layers[0] == Approx(2.5));
}

TEST_CASE("The best parts of all layers are kept, rounded to a multiple", "[compress]") {
  const PartScores scores{
      .layers = {1, 5, 3}, .heads = {{9, 1}, {8, 7}, {6, 2}}, .neurons = {{1, 2, 3, 4}, {9, 8, 7, 6}, {0, 0, 0, 5}}};

  KeptParts kept = best_parts(scores, {.layers = 2, .heads = 0.5, .neurons = 0.5, .neuron_multiple = 2});
  CHECK(kept.layers == std::vector{1, 2});
  CHECK(kept.heads[1] == std::vector{0, 1});
  CHECK(kept.heads[2] == std::vector{0});  // at least one
  CHECK(kept.neurons[1] == std::vector{0, 1, 2, 3});
  CHECK(kept.neurons[2] == std::vector{0, 3});  // none is good enough, 2 stay; of equal scores the first

  kept = best_parts(scores, {.heads = 0.5, .neurons = 0.5, .neuron_multiple = 1, .per_layer = true});
  CHECK(kept.layers == std::vector{0, 1, 2});
  CHECK(kept.heads == std::vector<std::vector<int>>{{0}, {0}, {0}});
  CHECK(kept.neurons == std::vector<std::vector<int>>{{2, 3}, {0, 1}, {0, 3}});

  kept = best_parts(scores, {.neuron_multiple = 3});
  CHECK(kept.neurons[0] == std::vector{0, 1, 2, 3});  // a share of 1 keeps all
  kept = best_parts(scores, {.neurons = 0.99, .neuron_multiple = 3});
  CHECK(kept.neurons[0] == std::vector{1, 2, 3});  // 4 neurons are rounded to 3
  kept = best_parts(scores, {.neuron_multiple = 1});
  CHECK(kept == all_parts({.width = 2, .layer_count = 3, .head_count = 2, .hidden = 4}));
}

TEST_CASE("Of parts with equal scores no more are kept than of others", "[compress]") {
  const PartScores scores{
      .layers = {1, 1}, .heads = {{0, 0}, {0, 0}}, .neurons = {{0, 2, 0, 0}, {0, 0, 1, 0}}};  // most are dead

  const KeptParts kept = best_parts(scores, {.heads = 0.5, .neurons = 0.5, .neuron_multiple = 1});

  CHECK(kept.heads == std::vector<std::vector<int>>{{0, 1}, {0}});  // the first two, and at least one
  CHECK(kept.neurons[0].size() + kept.neurons[1].size() == 4);
  CHECK(kept.neurons[0] == std::vector{0, 1, 2});
  CHECK(kept.neurons[1] == std::vector{2});
}

TEST_CASE("Counts of parts that make no sense are refused", "[compress]") {
  const PartScores scores{.layers = {1, 2}, .heads = {{1}, {1}}, .neurons = {{1}, {1}}};
  const auto refusal = [&](const PartCounts& counts) { return error_of([&] { (void)best_parts(scores, counts); }); };
  CHECK(refusal({.layers = 3}) == "best parts: layers is 3, it must lie in 0 .. 2");
  CHECK(refusal({.heads = 1.5}) == "best parts: the share of heads is 1.5, it must lie in 0 .. 1");
  CHECK(refusal({.neurons = std::nan("")}) == "best parts: the share of neurons is nan, it must lie in 0 .. 1");
  CHECK(refusal({.neuron_multiple = 0}) == "best parts: neuron_multiple is 0, it must be positive");
}
