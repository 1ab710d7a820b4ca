// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/movement_scores.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include <icrl/compress/gradual_pruning.hpp>
#include <icrl/train/distil_trainer.hpp>

#include "support/alloc_counter.hpp"
#include "support/batch_gradient.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/saved_state.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

template <typename S>
using MovementTrainer = DistilTrainer<CausalTransformer<S>, ActionCrossEntropy, OneRank, GradualPruning>;

GradualPruning by_movement(PruneConfig config = {}) {
  config.criterion = PruneCriterion::movement;
  return {.config = std::move(config), .schedule = {.final_sparsity = 0.75, .begin = 2, .end = 11, .every = 3}};
}

template <typename S>
WeightScores scores_of(const MovementTrainer<S>& trainer, const SmallRun& run, const GradualPruning& pruning,
                       const CausalTransformer<S>& model) {
  return saved_state(trainer, run, model, pruning.describe(), true).scores;
}

}  // namespace

TEST_CASE("A weight that is pulled toward zero loses score, one that is pushed away gains", "[compress]") {
  const std::vector<float> weights{2, 2, -3, -3, 0}, sum{1, -1, 4, -4, 8};
  const TensorGradient<float> tensors[] = {{"other", {}, {}}, {"a", weights, sum}};
  WeightScores scores{{"a", {0, 0, 0, 0, 5}}};

  add_movement(LossGradient<float>{tensors, 0.5}, scores);
  CHECK(scores == WeightScores{{"a", {-1, 1, 6, -6, 5}}});
  add_movement(LossGradient<float>{tensors, 0.25}, scores);
  CHECK(scores == WeightScores{{"a", {-1.5, 1.5, 9, -9, 5}}});

  scores.push_back({"b", {}});
  CHECK(error_of([&] {
          add_movement(LossGradient<float>{tensors, 1}, scores);
        }) == "pruning: the model has no trained tensor \"b\"");
}

TEST_CASE("Movement scores and what they prune are those of a plain loop", "[compress]") {
  const SmallRun run;
  const DistilConfig config = one_slot_distil(14);
  const GradualPruning pruning = by_movement();
  auto model = run.model<double>();
  MovementTrainer<double> trainer{model, run.sampler, config, {}, {}, pruning};
  std::map<std::string, std::vector<double>> expected;
  std::map<std::string, std::vector<std::uint8_t>> kept;

  for (int update = 0; update < 14; ++update) {
    CAPTURE(update);
    const auto weights = model;
    const auto gradient = batch_gradient(run, config, weights, update);
    (void)trainer.step();

    const auto of_weights = parameters_of(weights), of_gradient = parameters_of(gradient);
    for (std::size_t t = 0; t < of_weights.size(); ++t) {
      const auto& p = of_weights[t];
      if (!p.is_matrix || !p.name.starts_with("blocks.")) continue;
      const auto size = p.numbers().size();
      std::vector<double>& score = expected.try_emplace(p.name, size).first->second;
      std::vector<std::uint8_t>& is_kept = kept.try_emplace(p.name, size, 1).first->second;
      for (std::size_t i = 0; i < size && update <= 11; ++i) score[i] -= p.numbers()[i] * of_gradient[t].numbers()[i];
      if (pruning.schedule.is_due(update)) {
        std::vector<std::size_t> order(size);
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
          return std::pair{is_kept[a], score[a]} < std::pair{is_kept[b], score[b]};
        });
        const auto count = std::llround(pruning.schedule.sparsity(update) * static_cast<double>(size));
        for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) is_kept[order[i]] = 0;
        const WeightMask* const mask = find_mask(trainer.masks(), p.name);
        REQUIRE(mask != nullptr);
        CHECK(std::count(mask->kept.begin(), mask->kept.end(), std::uint8_t{0}) == count);
        CHECK(mask->kept == is_kept);
      }
    }
  }

  const WeightScores scores = scores_of(trainer, run, pruning, model);
  REQUIRE(scores.size() == expected.size());
  for (const TensorScores& one : scores) {
    const std::vector<double>& plain = expected.at(one.name);
    double largest = 0, error = 0;
    for (std::size_t i = 0; i < plain.size(); ++i) {
      largest = std::max(largest, std::abs(plain[i]));
      error = std::max(error, std::abs(one.numbers[i] - plain[i]));
    }
    CHECK(largest > 0);
    CHECK(error < 1e-10 * largest);
  }
  CHECK(sparsity_of(trainer.masks()) == Approx(0.75));
}

TEST_CASE("Movement prunes other weights than magnitude, and whole blocks by the sums of their scores", "[compress]") {
  const SmallRun run;
  const auto masks_of = [&](const GradualPruning& pruning) {
    auto model = run.model<float>();
    MovementTrainer<float> trainer{model, run.sampler, small_distil(12), {}, {}, pruning};
    for (int update = 0; update < 12; ++update) (void)trainer.step();
    return trainer.masks();
  };
  GradualPruning magnitude = by_movement();
  magnitude.config.criterion = PruneCriterion::magnitude;
  CHECK(masks_of(by_movement()) != masks_of(magnitude));

  const WeightMasks blocks =
      masks_of(by_movement({.scope = PruneScope::output, .block_outputs = 16, .block_inputs = 4}));
  const WeightMasks groups = masks_of(by_movement({.scope = PruneScope::group, .group = 4}));
  CHECK(sparsity_of(blocks) == Approx(0.75));
  CHECK(sparsity_of(groups) == Approx(0.75));
  for (const WeightMask& mask : blocks)
    for (Index i = 0; i < mask.rows; ++i)
      for (Index o = 0; o < mask.columns; ++o)
        CHECK(mask.kept[static_cast<std::size_t>(i * mask.columns + o)] ==
              mask.kept[static_cast<std::size_t>(i / 4 * 4 * mask.columns + o / 16 * 16)]);

  const WeightScores scores{{"blocks.0.mlp.up.weight", std::vector<double>(16 * 64)}};
  WeightScores signs = scores;  // of inputs 0 and 1, whose sum is below the other pair's and its norm above
  for (std::size_t o = 0; o < 64; ++o) signs[0].numbers[o] = -3, signs[0].numbers[64 + o] = 2;
  const PruneConfig pairs{.sparsity = 1.0 / 8,
                          .criterion = PruneCriterion::movement,
                          .scope = PruneScope::output,
                          .block_inputs = 2,
                          .weights = {"blocks.0.mlp.up.weight"}};
  const WeightMasks pruned = pruning_masks(run.model<float>(), pairs, {}, {}, signs);
  for (std::size_t o = 0; o < 128; ++o) CHECK(pruned[0].kept[o] == 0);
}

TEST_CASE("A run that prunes by movement resumes with the same bits, at any number of threads", "[compress]") {
  const SmallRun run;
  const GradualPruning pruning = by_movement();
  const TemporaryFolder folder;
  DistilConfig config = small_distil(14);
  auto whole = run.model<float>();
  MovementTrainer<float> trainer{whole, run.sampler, config, {}, {}, pruning};
  for (int update = 0; update < 14; ++update) (void)trainer.step();
  const WeightScores scores = scores_of(trainer, run, pruning, whole);

  for (const int stop : {0, 1, 3, 5, 8, 11, 13}) {
    CAPTURE(stop);
    {
      auto part = run.model<float>();
      MovementTrainer<float> first{part, run.sampler, config, {}, {}, pruning};
      for (int update = 0; update < stop; ++update) (void)first.step();
      first.save(folder / "run.ckpt");
    }
    auto model = run.model<float>();
    MovementTrainer<float> rest{model, run.sampler, config, {}, {}, pruning};
    rest.restore(folder / "run.ckpt");
    for (int update = stop; update < 14; ++update) (void)rest.step();
    CHECK(have_equal_bits(model, whole));
    CHECK(have_equal_bits(rest.averaged(), trainer.averaged()));
    CHECK(rest.masks() == trainer.masks());
    CHECK(scores_of(rest, run, pruning, model) == scores);
  }

  config.thread_count = 2;
  auto model = run.model<float>();
  MovementTrainer<float> both{model, run.sampler, config, {}, {}, pruning};
  for (int update = 0; update < 14; ++update) (void)both.step();
  CHECK(have_equal_bits(model, whole));
  CHECK(both.masks() == trainer.masks());
}

TEST_CASE("Summing movement allocates nothing while masks stay", "[compress]") {
  const SmallRun run;
  GradualPruning pruning = by_movement();
  pruning.schedule = {.final_sparsity = 0.5, .begin = 10, .end = 11};
  auto model = run.model<float>();
  MovementTrainer<float> trainer{model, run.sampler, small_distil(12), {}, {}, pruning};
  for (int update = 0; update < 3; ++update) (void)trainer.step();
  const AllocationCount allocations;
  for (int update = 0; update < 3; ++update) (void)trainer.step();
  CHECK(allocations.count() == 0);
}

TEST_CASE("Movement is refused without training, and for tensors that do not exist", "[compress]") {
  const SmallRun run;
  auto model = run.model<float>();
  CHECK(error_of([&] { (void)prune(model, {.criterion = PruneCriterion::movement}); }) ==
        "pruning: the movement scores of blocks.0.attention.qkv.weight are missing, which only training can measure "
        "(use GradualPruning)");
  const GradualPruning nothing = by_movement({.weights = {"blocks.7.mlp.up.weight"}});
  MovementTrainer<float> trainer{model, run.sampler, small_distil(12), {}, {}, nothing};
  CHECK(error_of([&] { (void)trainer.step(); }) == "pruning: the model has no tensor \"blocks.7.mlp.up.weight\"");
  CHECK(have_equal_bits(model, run.model<float>()));
}
