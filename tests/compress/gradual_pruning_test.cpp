// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/gradual_pruning.hpp>

#include <cmath>
#include <stdexcept>

#include <icrl/train/distil.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("Sparsity rises along a cubic curve", "[compress]") {
  const PruningSchedule schedule{.initial_sparsity = 0.2, .final_sparsity = 0.8, .begin = 10, .end = 50, .every = 10};
  CHECK(schedule.sparsity(10) == Approx(0.2));
  CHECK(schedule.sparsity(30) == Approx(0.8 - 0.6 / 8));
  CHECK(schedule.sparsity(40) == Approx(0.8 - 0.6 / 64));
  CHECK(schedule.sparsity(50) == 0.8);
  CHECK(schedule.sparsity(0) == Approx(0.2));
  CHECK(schedule.sparsity(99) == 0.8);
  std::vector<int> due;
  for (int update = 0; update < 70; ++update)
    if (schedule.is_due(update)) due.push_back(update);
  CHECK(due == std::vector{10, 20, 30, 40, 50});
  CHECK(PruningSchedule{.begin = 0, .end = 15, .every = 10}.is_due(15));  // the end, whatever the steps before
  CHECK(PruningSchedule{.final_sparsity = 0.3, .begin = 7, .end = 7}.sparsity(7) == 0.3);
}

TEST_CASE("A run prunes gradually, and what it returns is as sparse as asked for", "[compress]") {
  const SmallRun run;
  auto model = run.model<float>();
  const GradualPruning pruning{.config = {}, .schedule = {.final_sparsity = 0.75, .begin = 2, .end = 12, .every = 3}};
  DistilTrainer<CausalTransformer<float>, ActionCrossEntropy, OneRank, GradualPruning> trainer{
      model, run.sampler, small_distil(20), {}, {}, pruning};
  double last = 0;
  WeightMasks before;
  for (int update = 0; update < 20; ++update) {
    (void)trainer.step();
    const double sparsity = sparsity_of(trainer.masks());
    CHECK(sparsity >= last);
    CHECK((sparsity > last) == (pruning.schedule.is_due(update) && update > 2));
    for (std::size_t m = 0; m < before.size(); ++m)
      for (std::size_t i = 0; i < before[m].kept.size(); ++i)
        if (trainer.masks()[m].kept[i] > before[m].kept[i]) FAIL("a pruned weight came back");
    last = sparsity;
    before = trainer.masks();
  }
  CHECK(last == Approx(0.75));
  const auto& weight = trainer.best().blocks[0].feed_forward.up.weight;
  CHECK((weight.array() == 0).count() == weight.size() * 3 / 4);
}

TEST_CASE("A run prunes blocks of 16 outputs by 4 inputs gradually", "[compress]") {
  const SmallRun run;
  auto model = run.model<float>();
  const GradualPruning pruning{.config = {.scope = PruneScope::output, .block_outputs = 16, .block_inputs = 4},
                               .schedule = {.final_sparsity = 0.75, .begin = 2, .end = 12, .every = 5}};
  DistilTrainer<CausalTransformer<float>, ActionCrossEntropy, OneRank, GradualPruning> trainer{
      model, run.sampler, small_distil(16), {}, {}, pruning};

  for (int update = 0; update < 16; ++update) (void)trainer.step();

  for (const auto* map : {&trainer.best().blocks[1].attention.qkv, &trainer.best().blocks[0].feed_forward.up}) {
    for (Index o = 0; o < map->weight.cols(); o += 16) {
      int kept = 0;
      for (Index i = 0; i < map->weight.rows(); i += 4) {
        const auto nonzeros = (map->weight.block(i, o, 4, 16).array() != 0).count();
        CHECK((nonzeros == 0 || nonzeros == 64));
        kept += nonzeros > 0 ? 1 : 0;
      }
      CHECK(kept == 1);  // of the four blocks that 16 inputs have
    }
  }
}

TEST_CASE("A run that prunes to 2:4 is resumed by distil with the same bits", "[compress]") {
  const SmallRun run;
  const GradualPruning pruning{.config = {.scope = PruneScope::group, .group = 4},
                               .schedule = {.final_sparsity = 0.5, .begin = 0, .end = 8, .every = 4}};
  struct Nobody {};
  struct Stop {
    int at;
    void on_update(const DistilMetrics& metrics) const {
      if (metrics.update == at) throw std::runtime_error{"stop"};
    }
  };
  const TemporaryFolder folder;
  DistilConfig config = small_distil(12);
  const ActionCrossEntropy objective;
  auto whole = run.model<float>();
  (void)distil(whole, run.sampler, config, Nobody{}, objective, OneRank{}, pruning);
  for (const int stop : {2, 7, 11}) {
    config.checkpoint = folder / fmt::format("{}.ckpt", stop);
    config.checkpoint_every = 1;
    auto model = run.model<float>();
    CHECK_THROWS_AS(distil(model, run.sampler, config, Stop{stop}, objective, OneRank{}, pruning), std::runtime_error);
    auto resumed = run.model<float>();
    (void)distil(resumed, run.sampler, config, Nobody{}, objective, OneRank{}, pruning);
    CHECK(have_equal_bits(resumed, whole));

    GradualPruning other = pruning;
    other.schedule.every = 2;
    CHECK(has(error_of([&] { (void)distil(model, run.sampler, config, Nobody{}, objective, OneRank{}, other); }),
              "of another run"));
  }
  const auto& weight = whole.blocks[1].attention.qkv.weight;
  for (Index o = 0; o < weight.cols(); ++o)
    for (Index i = 0; i < weight.rows(); i += 4) CHECK((weight.col(o).segment(i, 4).array() == 0).count() == 2);
}

TEST_CASE("Schedules that make no sense, or do not end within the run, are refused", "[compress]") {
  const SmallRun run;
  auto model = run.model<float>();
  struct Nobody {};
  const auto refusal = [&](const PruningSchedule& schedule) {
    const GradualPruning pruning{.config = {}, .schedule = schedule};
    return error_of([&] {
      (void)distil(model, run.sampler, small_distil(10), Nobody{}, ActionCrossEntropy{}, OneRank{}, pruning);
    });
  };
  CHECK(refusal({.initial_sparsity = 0.6, .final_sparsity = 0.5, .end = 5}) ==
        "pruning: the sparsity goes from 0.6 to 0.5, give 0 <= initial_sparsity <= final_sparsity <= 1");
  CHECK(has(refusal({.final_sparsity = std::nan(""), .end = 5}), "the sparsity goes from 0 to nan"));
  CHECK(refusal({.begin = 5, .end = 4}) == "pruning: begin is 5 and end is 4, they must satisfy 0 <= begin <= end");
  CHECK(refusal({.end = 5, .every = 0}) == "pruning: every is 0, it must be positive");
  CHECK(has(refusal({.end = 10}), "the schedule ends before update 10, but the run has only updates 0 .. 9"));
  CHECK(have_equal_bits(model, run.model<float>()));
}

TEST_CASE("Descriptions tell pruners apart, by their norms too", "[compress]") {
  GradualPruning a, b;
  CHECK(a.describe() == b.describe());
  b.norms["blocks.0.mlp.up"] = {1, 2};
  CHECK(a.describe() != b.describe());
  b = a;
  b.config.criterion = PruneCriterion::wanda;
  CHECK(a.describe() != b.describe());
  b.config.criterion = PruneCriterion::movement;
  CHECK(has(b.describe(), "criterion movement"));
  b = a;
  b.config.sparsity = 0.1;  // which the schedule replaces
  CHECK(a.describe() == b.describe());
}
