// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/token_mask.hpp>

#include <cstring>
#include <string>
#include <vector>

#include <icrl/model/recurrent_model.hpp>
#include <icrl/train/action_and_value.hpp>
#include <icrl/train/distil_trainer.hpp>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

ContextBatch unmasked(const SmallRun& run, int count) {
  ContextBatch batch;
  run.sampler.sample(count, Rng{2}, batch);
  return batch;
}

/// Numbers of a row.
std::size_t row_size(const ContextBatch& batch) {
  return static_cast<std::size_t>(batch.feature_count - batch.image_size);
}

/// Row t of window b.
std::vector<float> row_of(const ContextBatch& batch, int b, int t) {
  const std::size_t size = row_size(batch);
  const auto row = batch.features_of(b).subspan(static_cast<std::size_t>(t) * size, size);
  return {row.begin(), row.end()};
}

/// The rows of a batch that know of a step before them.
int count_rows_with_past(const ContextBatch& batch) {
  int count = 0;
  for (int b = 0; b < batch.sequence_count; ++b)
    for (int t = 0; t < batch.lengths[static_cast<std::size_t>(b)]; ++t)
      count += (static_cast<int>(row_of(batch, b, t).at(row_size(batch) - 1)) & StepFlag::no_previous) == 0 ? 1 : 0;
  return count;
}

/// A run of a few updates, and its weights.
CausalTransformer<float> after_masked_updates(const SmallRun& run, const DistilConfig& config, int updates) {
  auto model = run.model();
  DistilTrainer trainer{model, run.sampler, config};
  for (int i = 0; i < updates; ++i) trainer.step();
  return model;
}

}  // namespace

TEST_CASE("A masked row has its observation, no step before it, and its label", "[train]") {
  const StepLayout layout{.observation_space = Box{{-1, -1}, {1, 1}},
                          .action_space = Discrete{3},
                          .closing_token = true,
                          .extra_features = {{.name = "hint", .size = 1}}};
  ContextBatch batch;
  batch.resize(1, 4, layout);
  batch.features = {0.1f, 0.2f, 7, 3, 0,    3,   // the first row: nothing before it
                    0.3f, 0.4f, 8, 1, 0.5f, 0,   // in an episode
                    0.5f, 0.6f, 0, 2, 2.5f, 4,   // a closing row
                    0,    0,    0, 0, 0,    0};  // padding
  batch.actions = {1, 2, 0, 0};
  batch.weights = {1, 1, 0, 0};
  batch.lengths = {3};
  const ContextBatch before = batch;

  mask_tokens(1, Rng{1}, layout, batch);

  CHECK(batch.features == std::vector<float>{0.1f, 0.2f, 7, 3, 0, 3,  //
                                             0.3f, 0.4f, 8, 3, 0, 2,  //
                                             0.5f, 0.6f, 0, 3, 0, 6,  //
                                             0,    0,    0, 0, 0, 0});
  CHECK(batch.actions == before.actions);
  CHECK(batch.weights == before.weights);
  CHECK(batch.lengths == before.lengths);
  batch = before;
  mask_tokens(0, Rng{1}, layout, batch);
  CHECK(batch.features == before.features);
}

TEST_CASE("The rows of windows with images are masked behind their images", "[train]") {
  const StepLayout layout{.observation_space = image_box(2, 2, 1), .action_space = Box{{-2}, {2}}};
  ContextBatch batch;
  batch.resize(1, 2, layout);
  batch.features = {0, 0, 3, 1.5f, 0.25f, 0};
  batch.lengths = {2};

  mask_tokens(1, Rng{1}, layout, batch);

  CHECK(batch.features == std::vector<float>{0, 0, 3, 0, 0, 2});
}

TEST_CASE("A share of rows is masked, in a window by its number and the generator alone", "[train]") {
  const SmallRun run;
  const ContextBatch before = unmasked(run, 400);
  for (const double probability : {0.3, 0.5}) {
    ContextBatch masked = before, again = before, other = before;
    mask_tokens(probability, Rng{5}, run.layout, masked);
    mask_tokens(probability, Rng{5}, run.layout, again);
    mask_tokens(probability, Rng{6}, run.layout, other);

    const double kept = (1 - probability) * count_rows_with_past(before);
    CHECK(count_rows_with_past(masked) == Approx(kept).epsilon(0.05));
    CHECK(masked.features == again.features);
    CHECK(masked.features != other.features);
  }
  ContextBatch few = unmasked(run, 3), many = before;
  mask_tokens(0.5, Rng{5}, run.layout, few);
  mask_tokens(0.5, Rng{5}, run.layout, many);
  for (int b = 0; b < 3; ++b)
    for (int t = 0; t < run.shape.context; ++t) CHECK(row_of(few, b, t) == row_of(many, b, t));
}

TEST_CASE("Training with masked tokens depends on the seed, not on threads, and learns", "[train]") {
  const SmallRun run;
  DistilConfig config = small_distil(12);
  config.token_mask = 0.4;
  config.gradient_slots = 5;
  config.products = GENERATE(Products::full, Products::bfloat16);
  const auto expected = after_masked_updates(run, config, 12);
  for (const int threads : {2, 3}) {
    config.thread_count = threads;
    CHECK(have_equal_bits(after_masked_updates(run, config, 12), expected));
  }
  config.token_mask = 0.5;
  CHECK_FALSE(have_equal_bits(after_masked_updates(run, config, 12), expected));
  config.token_mask = 0;
  CHECK_FALSE(have_equal_bits(after_masked_updates(run, config, 12), expected));
}

TEST_CASE("Another update masks other rows of the same windows", "[train]") {
  // All windows are the beginning of one history, so they have one loss without masks.
  const SmallRun run;
  const WindowSampler sampler{
      {run.histories[0].view()}, run.layout, {.context = run.shape.context, .history_start_fraction = 1}};
  DistilConfig config{.updates = 8, .batch = 1, .learning_rate = 1e-30, .warmup = 0, .weight_decay = 0};
  for (const double token_mask : {0.0, 0.5}) {
    config.token_mask = token_mask;
    auto model = run.model();
    DistilTrainer trainer{model, sampler, config};
    std::vector<double> losses;
    for (int i = 0; i < 8; ++i) losses.push_back(trainer.step().loss);
    bool are_equal = true;
    for (const double loss : losses) are_equal = are_equal && loss == losses[0];
    CHECK(are_equal == (token_mask == 0));
  }
}

TEST_CASE("Any model is trained with masked tokens", "[train]") {
  const SmallRun run;
  RecurrentModel<float> model{{.width = 8, .layer_count = 1, .state_size = 8, .hidden = 16}, run.layout};
  Rng rng{1};
  model.initialize(rng);
  const WindowSampler sampler{views(run.histories), run.layout, {.context = 8, .start = WindowStart::anywhere}};
  DistilConfig config = small_distil(60);
  config.token_mask = 0.3;
  DistilTrainer trainer{model, sampler, config};

  const double first = trainer.step().loss;
  for (int i = 1; i < 59; ++i) trainer.step();

  CHECK(trainer.step().loss < first);
}

TEST_CASE("A run with masked tokens is resumed to the same bits, and only by one with the same share", "[train]") {
  const SmallRun run;
  const TemporaryFolder folder;
  DistilConfig config = small_distil(10);
  config.token_mask = 0.3;
  const auto expected = after_masked_updates(run, config, 10);
  auto first = run.model(), second = run.model();
  DistilTrainer begun{first, run.sampler, config};
  for (int i = 0; i < 4; ++i) begun.step();
  begun.save(folder / "run.ckpt");
  config.thread_count = 2;
  DistilTrainer resumed{second, run.sampler, config};
  resumed.restore(folder / "run.ckpt");

  for (int i = 4; i < 10; ++i) resumed.step();

  CHECK(have_equal_bits(second, expected));
  config.token_mask = 0.4;
  DistilTrainer other{second, run.sampler, config};
  CHECK(has(error_of([&] { other.restore(folder / "run.ckpt"); }), "(token mask 0.3); this one is (token mask 0.4)"));
}

TEST_CASE("Updates with masked tokens allocate nothing", "[train]") {
  SKIP_UNLESS_AVAILABLE(AllocationCount);
  const SmallRun run;
  DistilConfig config = small_distil(100);
  config.token_mask = 0.5;
  auto model = run.model();
  DistilTrainer trainer{model, run.sampler, config};
  for (int i = 0; i < 3; ++i) trainer.step();
  const AllocationCount allocations;

  for (int i = 0; i < 5; ++i) trainer.step();

  CHECK(allocations.count() == 0);
}

namespace {

/// An objective that would see masked rows.
struct ReadingObjective : ActionCrossEntropy {
  static constexpr bool reads_windows = true;
};

}  // namespace

TEST_CASE("Tokens are not masked for an objective that reads the windows, too", "[train]") {
  const SmallRun run;
  auto model = run.model();
  DistilConfig config = small_distil(2);
  config.token_mask = 0.3;

  CHECK(has(error_of([&] {
              DistilTrainer{model, run.sampler, config, ReadingObjective{}};
            }),
            "distil: token_mask is 0.3, but the objective reads the rows that it would hide"));
  static_assert(ActionAndValue::reads_windows);  // values are learned of the rewards in the rows
  config.token_mask = 0;
  CHECK(DistilTrainer{model, run.sampler, config, ReadingObjective{}}.step().update == 1);
}
