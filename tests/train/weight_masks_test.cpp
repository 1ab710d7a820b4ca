// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/weight_masks.hpp>

#include <cmath>
#include <limits>
#include <mutex>
#include <string_view>

#include <icrl/train/distil.hpp>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/saved_state.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"
#include "support/thread_ranks.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// Masks of two tensors, one longer than a chunk is, with about `share` of their weights pruned by chance.
template <typename M>
WeightMasks masks_by_chance(const M& model, double share, std::uint64_t seed) {
  WeightMasks masks;
  Rng rng{seed};
  for (const auto& p : parameters_of(model)) {
    if (p.name != "blocks.0.mlp.up.weight" && p.name != "blocks.1.attention.qkv.weight") continue;
    masks.push_back({p.name, p.rows, p.columns, {}});
    for (Index i = 0; i < p.rows * p.columns; ++i) masks.back().kept.push_back(rng.uniform() < share ? 0 : 1);
  }
  return masks;
}

/// Other masks from each of some updates on.
struct ChangingMasks {
  std::vector<std::pair<int, WeightMasks>> changes;

  template <typename M>
  [[nodiscard]] std::optional<WeightMasks> next_masks(int update, const M&, const WeightMasks&) const {
    for (const auto& [from, masks] : changes)
      if (from == update) return masks;
    return {};
  }
  [[nodiscard]] static std::string describe() { return "changing masks"; }
  static void validate(int) {}
};

/// How many pruned weights are not exactly +0, and how many kept ones are.
template <typename M>
std::pair<int, int> exceptions_to(const WeightMasks& masks, const M& model) {
  int not_zero = 0, zero = 0;
  for (const auto& p : parameters_of(model)) {
    const WeightMask* const mask = find_mask(masks, p.name);
    for (std::size_t i = 0; mask != nullptr && i < mask->kept.size(); ++i) {
      const bool is_zero = p.data[i] == 0 && !std::signbit(p.data[i]);
      if (mask->kept[i] == 0) not_zero += is_zero ? 0 : 1;
      if (mask->kept[i] != 0) zero += is_zero ? 1 : 0;
    }
  }
  return {not_zero, zero};
}
constexpr std::pair<int, int> no_exceptions{0, 0};

DistilConfig masked_config(int updates) {
  DistilConfig config = small_distil(updates);
  config.max_gradient_norm = 0.5;
  config.weight_decay = 0.3;
  return config;
}

template <typename P, typename S = float>
struct PrunedTraining {
  using Trainer = DistilTrainer<CausalTransformer<S>, ActionCrossEntropy, OneRank, P>;

  PrunedTraining(const SmallRun& run, const DistilConfig& config, P pruner)
      : model{run.model<S>()}, trainer{model, run.sampler, config, {}, {}, std::move(pruner)} {}
  void step(int count) {
    for (int i = 0; i < count; ++i) (void)trainer.step();
  }
  /// What a checkpoint holds of it.
  [[nodiscard]] Checkpoint<CausalTransformer<S>> state(const SmallRun& run, const std::string& pruning) const {
    return saved_state(trainer, run, model, pruning);
  }

  CausalTransformer<S> model;
  Trainer trainer;
};

}  // namespace

TEST_CASE("Pruned weights stay at zero through updates, with their moments and averages", "[train]") {
  const SmallRun run;
  DistilConfig config = masked_config(12);
  config.products = GENERATE(Products::full, Products::bfloat16);
  const WeightMasks masks = masks_by_chance(run.model<float>(), 0.7, 1);
  REQUIRE(masks.size() == 2);
  PrunedTraining training{run, config, FixedMasks{masks}};
  const auto before = training.model;

  training.step(12);

  const auto state = training.state(run, FixedMasks{masks}.describe());
  for (const auto* weights : {&state.model, &state.mean, &state.variance, &*state.average})
    CHECK(exceptions_to(masks, *weights) == no_exceptions);
  CHECK(exceptions_to(masks, training.trainer.averaged()) == no_exceptions);
  CHECK(state.model.blocks[0].feed_forward.up.bias != before.blocks[0].feed_forward.up.bias);
  CHECK(state.model.blocks[1].feed_forward.up.weight != before.blocks[1].feed_forward.up.weight);
}

TEST_CASE("A gradient's norm is that of the weights that are kept", "[train]") {
  const SmallRun run;
  DistilConfig config = masked_config(2);
  config.batch = 3;
  config.gradient_slots = 1;
  auto model = run.model<double>();
  const WeightMasks masks = masks_by_chance(model, 0.8, 2);
  PrunedTraining<FixedMasks, double> training{run, config, FixedMasks{masks}};

  const double norm = training.trainer.step().gradient_norm;

  apply_masks(masks, model);
  auto gradient = model;
  set_zero(gradient);
  ContextBatch batch;
  run.sampler.sample(3, Rng{config.seed}.fork(0).fork(0), batch);
  WindowScratch<CausalTransformer<double>> scratch;
  double labels = 0, all = 0, kept = 0;
  for (int window = 0; window < 3; ++window)
    (void)window_loss(model, ActionCrossEntropy{}, batch, window, scratch, gradient);
  for (const float weight : batch.weights) labels += static_cast<double>(weight);
  for (const double number : weights_of(gradient)) all += number * number;
  apply_masks(masks, gradient);
  for (const double number : weights_of(gradient)) kept += number * number;
  CHECK(norm == Approx(std::sqrt(kept) / labels).epsilon(1e-12));
  CHECK(norm < 0.99 * std::sqrt(all) / labels);
}

TEST_CASE("Masks that keep all change nothing", "[train]") {
  const SmallRun run;
  const DistilConfig config = masked_config(6);
  auto plain = run.model<float>();
  (void)distil(plain, run.sampler, config);

  PrunedTraining training{run, config, FixedMasks{masks_by_chance(plain, 0, 1)}};
  training.step(6);
  CHECK(have_equal_bits(training.trainer.best(), plain));
}

TEST_CASE("Masks may change in mid-run: what is pruned becomes zero, what is not is trained again", "[train]") {
  const SmallRun run;
  const WeightMasks first = masks_by_chance(run.model<float>(), 0.5, 3),
                    second = masks_by_chance(run.model<float>(), 0.5, 4);
  PrunedTraining training{run, masked_config(20), ChangingMasks{{{2, first}, {6, second}}}};

  training.step(2);
  CHECK(training.trainer.masks().empty());
  CHECK(exceptions_to(first, training.model).first > 0);
  training.trainer.offer(1);
  training.step(4);
  CHECK(training.trainer.masks() == first);
  CHECK(exceptions_to(first, training.model) == no_exceptions);
  CHECK(training.trainer.progress().best_update == 0);  // the best so far was not pruned so
  CHECK(exceptions_to(first, training.trainer.best()) == no_exceptions);
  training.trainer.offer(0.5);
  CHECK(training.trainer.progress().best_update == 6);

  training.step(8);
  const auto state = training.state(run, "changing masks");
  for (const auto* weights : {&state.model, &state.mean, &state.variance, &*state.average})
    CHECK(exceptions_to(second, *weights) == no_exceptions);
  CHECK(state.masks == second);
}

TEST_CASE("A pruned run that is resumed goes on bit for bit", "[train]") {
  const SmallRun run;
  const auto model = run.model<float>();
  const ChangingMasks pruner{{{1, masks_by_chance(model, 0.5, 3)}, {7, masks_by_chance(model, 0.5, 4)}}};
  const DistilConfig config = masked_config(10);
  const TemporaryFolder folder;
  PrunedTraining whole{run, config, pruner};
  whole.step(10);

  for (const int interruption : {0, 1, 4, 7, 9}) {
    CAPTURE(interruption);
    {
      PrunedTraining part{run, config, pruner};
      part.step(interruption);
      part.trainer.save(folder / "run.ckpt");
    }
    PrunedTraining rest{run, config, pruner};
    rest.trainer.restore(folder / "run.ckpt");
    rest.step(10 - interruption);

    const auto a = whole.state(run, "changing masks"), b = rest.state(run, "changing masks");
    CHECK(have_equal_bits(a.model, b.model));
    CHECK(have_equal_bits(a.mean, b.mean));
    CHECK(have_equal_bits(a.variance, b.variance));
    CHECK(have_equal_bits(*a.average, *b.average));
    CHECK(a.masks == b.masks);
    CHECK(a.progress.loss == b.progress.loss);
  }
}

TEST_CASE("A checkpoint belongs to one way of pruning, and holds masks that a run can go on with", "[train]") {
  const SmallRun run;
  const DistilConfig config = masked_config(4);
  auto model = run.model<float>();
  const WeightMasks masks = masks_by_chance(model, 0.5, 1);
  const TemporaryFolder folder;
  const auto path = folder / "run.ckpt";
  PrunedTraining training{run, config, FixedMasks{masks}};
  training.step(1);
  training.trainer.save(path);

  DistilTrainer<CausalTransformer<float>> plain{model, run.sampler, config};
  CHECK(has(error_of([&] { plain.restore(path); }), "of another run"));
  PrunedTraining other{run, config, FixedMasks{masks_by_chance(model, 0.5, 2)}};
  CHECK(has(error_of([&] { other.trainer.restore(path); }), "of another run"));

  const std::string description = describe(plain.config()) + "; " + run.sampler.describe() + "; changing masks";
  const auto refusal = [&](const WeightMasks& forged) {
    auto squares = model;
    set_zero(squares);
    write_checkpoint<CausalTransformer<float>>(path, description, {}, model, model, squares, &model, nullptr, &forged);
    PrunedTraining reader{run, config, ChangingMasks{}};
    const std::string error = error_of([&] { reader.trainer.restore(path); });
    CHECK(have_equal_bits(reader.model, model));
    return error;
  };
  CHECK(refusal(masks).empty());
  WeightMasks forged = masks;
  forged[1].kept[17] = 2;
  CHECK(has(refusal(forged), "masks: number 17 of the mask of blocks.1.attention.qkv.weight is 2, it must be 0 or 1"));
  forged = masks;
  forged[0].name = "blocks.9.mlp.up.weight";
  CHECK(has(refusal(forged), "has a mask of the tensor \"blocks.9.mlp.up.weight\", which the model does not have"));
  forged = masks;
  forged[0] = forged[1];
  CHECK(has(refusal(forged), "masks: two masks are for blocks.1.attention.qkv.weight"));
  forged = masks;
  forged[1].kept.pop_back();
  CHECK(has(refusal(forged), "ends 1 bytes too soon"));
}

TEST_CASE("Masks that do not belong to the model are refused before the first update", "[train]") {
  const SmallRun run;
  const auto refusal = [&](const WeightMask& mask) {
    PrunedTraining training{run, masked_config(4), FixedMasks{{mask}}};
    const std::string error = error_of([&] { training.step(1); });
    CHECK(have_equal_bits(training.model, run.model<float>()));
    return error;
  };
  CHECK(refusal({"head.wheight", 1, 1, {1}}) == "masks: the model has no tensor \"head.wheight\"");
  CHECK(refusal({"final_norm.gain", 1, 15, std::vector<std::uint8_t>(15)}) ==
        "masks: the mask of final_norm.gain is 1x15 with 15 numbers, the tensor is 1x16");
}

TEST_CASE("Ranks prune alike: their weights have the bits of one process", "[train]") {
  const SmallRun run;
  const auto model = run.model<float>();
  const ChangingMasks pruner{{{0, masks_by_chance(model, 0.5, 3)}, {3, masks_by_chance(model, 0.5, 4)}}};
  const auto trained = [&](int size) {
    std::mutex mutex;
    std::vector<float> found;
    ThreadRanks::run(size, [&](ThreadRanks& ranks) {
      auto mine = model;
      struct Nobody {};
      (void)distil(mine, run.sampler, masked_config(6), Nobody{}, ActionCrossEntropy{}, ranks, pruner);
      const std::lock_guard lock{mutex};
      if (ranks.rank() == 0) found = weights_of(mine);
    });
    return found;
  };
  CHECK(trained(1) == trained(2));
  auto plain = model;
  (void)distil(plain, run.sampler, masked_config(6));
  CHECK(trained(1) != weights_of(plain));
}

TEST_CASE("Updates of a pruned run allocate nothing while masks stay", "[train]") {
  const SmallRun run;
  PrunedTraining training{run, masked_config(12), FixedMasks{masks_by_chance(run.model<float>(), 0.5, 1)}};
  training.step(3);
  const AllocationCount allocations;
  training.step(3);
  CHECK(allocations.count() == 0);
}

TEST_CASE("Sparsity is the share of pruned weights of all masks", "[train]") {
  CHECK(sparsity_of({}) == 0);
  CHECK(sparsity_of({{"a", 1, 2, {0, 1}}, {"b", 3, 1, {0, 0, 1}}}) == Approx(0.6));
  CHECK(FixedMasks{{{"a", 1, 2, {0, 1}}}}.describe() != FixedMasks{{{"a", 1, 2, {1, 0}}}}.describe());
}
