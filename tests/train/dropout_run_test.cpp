// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/distil.hpp>

#include <cmath>
#include <string>
#include <vector>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/model/mixture_transformer.hpp>
#include <icrl/model/recurrent_model.hpp>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

// Runs with dropout, from the configuration to the weights.
namespace {

DistilConfig dropout_distil(int updates) {
  DistilConfig config = small_distil(updates);
  config.dropout = {.embedding = 0.1, .residual = 0.1, .attention = 0.2};
  return config;
}

CausalTransformer<float> after_updates(const SmallRun& run, const DistilConfig& config, int updates) {
  auto model = run.model();
  DistilTrainer trainer{model, run.sampler, config};
  for (int i = 0; i < updates; ++i) trainer.step();
  return model;
}

}  // namespace

TEST_CASE("Training with dropout gives the same bits at any number of threads, and others for another rate",
          "[train]") {
  const SmallRun run;
  DistilConfig config = dropout_distil(12);
  config.gradient_slots = 5;
  const auto expected = after_updates(run, config, 12);
  for (const int threads : {2, 3}) {
    config.thread_count = threads;
    CHECK(have_equal_bits(after_updates(run, config, 12), expected));
  }
  config.dropout.attention = 0;
  CHECK_FALSE(have_equal_bits(after_updates(run, config, 12), expected));
}

TEST_CASE("Windows, slots and updates drop other numbers", "[train]") {
  // All windows are the beginning of one history and the weights hardly move, so without dropout every loss is the
  // same.
  const SmallRun run;
  const WindowSampler sampler{
      {run.histories[0].view()}, run.layout, {.context = run.shape.context, .history_start_fraction = 1}};
  const auto losses = [&](int batch, int slots, bool drops) {
    DistilConfig config{.updates = 6, .batch = batch, .learning_rate = 1e-30, .warmup = 0, .weight_decay = 0};
    config.gradient_slots = slots;
    config.products = Products::full;
    if (drops) config.dropout.residual = 0.3;
    auto model = run.model<double>();
    DistilTrainer trainer{model, sampler, config};
    std::vector<double> values;
    for (int i = 0; i < 6; ++i) values.push_back(trainer.step().loss);
    return values;
  };
  const double plain = losses(1, 1, false)[0];
  for (const double loss : losses(2, 2, false)) CHECK(loss == Approx(plain).epsilon(1e-12));

  const std::vector<double> one = losses(1, 1, true);
  for (std::size_t i = 1; i < one.size(); ++i) CHECK(one[i] != one[i - 1]);
  // With equal masks a second window would not change the mean.
  CHECK(losses(2, 1, true)[0] != Approx(one[0]).epsilon(1e-6));
  CHECK(losses(2, 2, true)[0] != Approx(one[0]).epsilon(1e-6));
}

TEST_CASE("A run with dropout is resumed to the same bits, and only by one with the same rates", "[train]") {
  const SmallRun run;
  const TemporaryFolder folder;
  DistilConfig config = dropout_distil(10);
  const auto expected = after_updates(run, config, 10);
  auto first = run.model(), second = run.model();
  DistilTrainer begun{first, run.sampler, config};
  for (int i = 0; i < 4; ++i) begun.step();
  begun.save(folder / "run.ckpt");
  config.thread_count = 2;
  DistilTrainer resumed{second, run.sampler, config};
  resumed.restore(folder / "run.ckpt");

  for (int i = 4; i < 10; ++i) resumed.step();

  CHECK(have_equal_bits(second, expected));
  config.dropout.residual = 0.2;
  DistilTrainer other{second, run.sampler, config};
  CHECK(has(error_of([&] { other.restore(folder / "run.ckpt"); }),
            "(residual dropout 0.1); this one is (residual dropout 0.2)"));
}

TEST_CASE("Updates with dropout allocate nothing", "[train]") {
  SKIP_UNLESS_AVAILABLE(AllocationCount);
  for (const int width : {16, 64}) {
    TransformerConfig shape = small_config(20);
    shape.width = width;
    const SmallRun run{shape};
    auto model = run.model();
    DistilConfig config = dropout_distil(100);
    config.token_mask = 0.3;
    DistilTrainer trainer{model, run.sampler, config};
    trainer.step();
    for (int i = 0; i < 5; ++i) {
      const AllocationCount allocations;
      trainer.step();
      CHECK(allocations.count() == 0);
    }
  }
}

TEST_CASE("A model learns with dropout, and acts without it", "[train]") {
  const SmallRun run;
  auto model = run.model();
  const auto untrained = model;
  DistilConfig config = dropout_distil(80);
  config.ema_decay = 0;
  std::vector<double> losses;
  DistilTrainer trainer{model, run.sampler, config};
  for (int i = 0; i < 80; ++i) losses.push_back(trainer.step().loss);
  const auto mean_loss = [&](const CausalTransformer<float>& of) {
    ContextBatch batch;
    run.sampler.sample(30, Rng{3}, batch);
    WindowScratch<CausalTransformer<float>> scratch;
    auto unused = of;
    double loss = 0;
    for (int window = 0; window < 30; ++window)
      loss += window_loss(of, ActionCrossEntropy{}, batch, window, scratch, unused);
    return loss;
  };
  CHECK(losses.back() < losses.front());
  CHECK(mean_loss(model) < mean_loss(untrained));

  InContextAgent one{model}, two{model};
  std::vector<float> observation{1, 2}, action(1);
  Rng first{4}, second{4};
  one.act(observation, action, first);
  two.act(observation, action, second);
  CHECK(std::vector(one.outputs().begin(), one.outputs().end()) ==
        std::vector(two.outputs().begin(), two.outputs().end()));
}

TEST_CASE("Dropout is refused together with products in bfloat16, and for a model without such a pass", "[train]") {
  const SmallRun run;
  auto model = run.model();
  DistilConfig config = dropout_distil(2);
  config.products = Products::bfloat16;
  CHECK(error_of([&] {
          DistilTrainer{model, run.sampler, config};
        }) ==
        "distil: dropout is 0.1 (embedding), 0.1 (residual) and 0.2 (attention), but products are bfloat16, and a pass "
        "with dropout has full ones only (choose Products::automatic or Products::full)");
  config.products = Products::automatic;
  CHECK(DistilTrainer{model, run.sampler, config}.config().products == Products::full);

  RecurrentModel<float> recurrent{{.width = 8, .layer_count = 1, .state_size = 8, .hidden = 16}, run.layout};
  Rng rng{1};
  recurrent.initialize(rng);
  const WindowSampler anywhere{views(run.histories), run.layout, {.context = 8, .start = WindowStart::anywhere}};
  CHECK(has(error_of([&] {
              DistilTrainer{recurrent, anywhere, config};
            }),
            "but a model of kind \"gated_recurrence\" has no training pass with dropout (set all rates to 0)"));
}

TEST_CASE("A mixture of experts is distilled with dropout", "[train]") {
  const SmallRun run;
  MixtureTransformer<float> model{{run.shape, {.expert_count = 4}}, run.layout};
  Rng rng{1};
  model.initialize(rng);
  DistilTrainer trainer{model, run.sampler, dropout_distil(60)};
  const double first = trainer.step().loss;
  for (int i = 1; i < 59; ++i) trainer.step();
  CHECK(trainer.step().loss < first);
}
