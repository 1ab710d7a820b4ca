// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/sparse_training.hpp>

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

#include <icrl/train/distil.hpp>

#include "support/batch_gradient.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/saved_state.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

template <typename S>
using SparseTrainer = DistilTrainer<CausalTransformer<S>, ActionCrossEntropy, OneRank, SparseTraining>;

SparseTraining often_exchanged(Growth growth) {
  return {.config = {.sparsity = 0.8, .growth = growth, .every = 3, .end = 14, .seed = 5}};
}

std::ptrdiff_t kept_count(const WeightMask& mask) {
  return std::count(mask.kept.begin(), mask.kept.end(), std::uint8_t{1});
}

template <typename S>
Checkpoint<CausalTransformer<S>> sparse_state(const SparseTrainer<S>& trainer, const SmallRun& run,
                                              const SparseTraining& how, const CausalTransformer<S>& model) {
  return saved_state(trainer, run, model, how.describe());
}

/// The numbers that are left when `count` times the least of `score` was taken out of `numbers`.
template <typename Score>
std::set<std::size_t> without_least(std::set<std::size_t> numbers, std::size_t count, Score&& score) {
  for (std::size_t i = 0; i < count; ++i)
    numbers.erase(std::min_element(numbers.begin(), numbers.end(),
                                   [&](std::size_t a, std::size_t b) { return score(a) < score(b); }));
  return numbers;
}

}  // namespace

TEST_CASE("Erdos-Renyi densities are those by hand, and at most 1", "[compress]") {
  const std::vector<detail::MapShape> maps{{10, 10}, {100, 100}};
  const auto uniform = detail::map_densities(maps, 0.1, LayerDensity::uniform);
  CHECK(uniform == std::vector{0.1, 0.1});

  const auto sparse = detail::map_densities(maps, 0.1, LayerDensity::erdos_renyi);  // 20 e + 200 e = 1010
  CHECK(sparse[0] == Approx(0.2 * 1010 / 220));
  CHECK(sparse[1] == Approx(0.02 * 1010 / 220));

  const auto denser = detail::map_densities(maps, 0.2, LayerDensity::erdos_renyi);  // 100 + 200 e = 2020
  CHECK(denser[0] == 1);
  CHECK(denser[1] == Approx(0.02 * 1920 / 200));

  CHECK(detail::map_densities(maps, 1, LayerDensity::erdos_renyi)[1] == Approx(1));
}

TEST_CASE("The share that is exchanged falls along a cosine, and then nothing is", "[compress]") {
  SparseTraining how{.config = {.drop_fraction = 0.4, .every = 10, .end = 40}};
  CHECK(how.drop_share(10) == Approx(0.2 * (1 + std::sqrt(0.5))));
  CHECK(how.drop_share(20) == Approx(0.2));
  CHECK(how.drop_share(30) == Approx(0.2 * (1 - std::sqrt(0.5))));
  how.config.decay = DropDecay::constant;
  CHECK(how.drop_share(30) == 0.4);
  std::vector<int> due;
  for (int update = 0; update < 70; ++update)
    if (how.is_due(update)) due.push_back(update);
  CHECK(due == std::vector{10, 20, 30});
}

TEST_CASE("RigL drops and grows what a plain loop does, and the number of weights stays", "[compress]") {
  const SmallRun run;
  const DistilConfig config = one_slot_distil(16);
  SparseTraining how = often_exchanged(Growth::gradient);
  how.config.density = GENERATE(LayerDensity::uniform, LayerDensity::erdos_renyi);
  auto model = run.model<double>();
  SparseTrainer<double> trainer{model, run.sampler, config, {}, {}, how};
  WeightMasks before;
  std::size_t exchanged = 0;

  for (int update = 0; update < 16; ++update) {
    CAPTURE(update);
    const auto weights = model;
    const auto gradient = batch_gradient(run, config, weights, update);
    (void)trainer.step();
    const WeightMasks& masks = trainer.masks();
    if (update == 0) {
      CHECK(sparsity_of(masks) == Approx(0.8).margin(0.001));
      before = masks;
      continue;
    }
    if (!how.is_due(update)) CHECK(masks == before);
    const auto state = sparse_state(trainer, run, how, model);
    const auto of_weights = parameters_of(weights), of_gradient = parameters_of(gradient);
    const auto mean = parameters_of(state.mean), variance = parameters_of(state.variance),
               average = parameters_of(*state.average), after = parameters_of(state.model);
    for (std::size_t t = 0; t < of_weights.size() && how.is_due(update); ++t) {
      const WeightMask* const old = find_mask(before, of_weights[t].name);
      if (old == nullptr) continue;
      const WeightMask& now = *find_mask(masks, old->name);
      const double *const w = of_weights[t].data, *const g = of_gradient[t].data;
      std::set<std::size_t> kept, lacking;
      for (std::size_t i = 0; i < old->kept.size(); ++i)
        if (old->kept[i] != 0) kept.insert(i);
      const auto count =
          static_cast<std::size_t>(std::llround(how.drop_share(update) * static_cast<double>(kept.size())));
      kept = without_least(kept, count, [&](std::size_t i) { return std::abs(w[i]); });
      for (std::size_t i = 0; i < old->kept.size(); ++i)
        if (kept.count(i) == 0) lacking.insert(i);
      const auto left = without_least(lacking, count, [&](std::size_t i) { return -std::abs(g[i]); });
      CHECK(kept_count(now) == kept_count(*old));
      for (std::size_t i = 0; i < now.kept.size(); ++i) {
        CHECK((now.kept[i] == 0) == (left.count(i) == 1));
        if (now.kept[i] == 0)
          CHECK((after[t].data[i] == 0 && mean[t].data[i] == 0 && variance[t].data[i] == 0 && average[t].data[i] == 0));
        if (now.kept[i] == 0 || old->kept[i] != 0) continue;
        ++exchanged;  // it was zero, and has the moments of its first gradient
        const double ratio = mean[t].data[i] / std::sqrt(variance[t].data[i]);
        CHECK(std::abs(ratio) == Approx((1 - config.beta1) / std::sqrt(1 - config.beta2)));
        CHECK(w[i] == 0);
      }
    }
    before = masks;
  }
  CHECK(exchanged > 100);
}

TEST_CASE("SET drops the smallest weights and grows any, which begin at zero", "[compress]") {
  const SmallRun run;
  SparseTraining how = often_exchanged(Growth::random);
  how.config.decay = DropDecay::constant;
  auto model = run.model<float>();
  const auto whole = model;
  SparseTrainer<float> trainer{model, run.sampler, small_distil(16), {}, {}, how};
  (void)trainer.step();
  const WeightMasks first = trainer.masks();
  for (int update = 1; update < 3; ++update) (void)trainer.step();
  CHECK(trainer.masks() == first);
  const auto weights = model;
  const auto masks = how.next_masks(3, weights, first);
  REQUIRE(masks.has_value());
  (void)trainer.step();
  CHECK(trainer.masks() == *masks);

  std::size_t grown = 0, in_first_half = 0;
  for (const auto& p : parameters_of(weights)) {
    const WeightMask* const old = find_mask(first, p.name);
    if (old == nullptr) continue;
    const WeightMask& now = *find_mask(*masks, p.name);
    CHECK(kept_count(now) == kept_count(*old));
    std::vector<float> sizes;
    for (std::size_t i = 0; i < old->kept.size(); ++i)
      if (old->kept[i] != 0) sizes.push_back(std::abs(p.data[i]));
    std::sort(sizes.begin(), sizes.end());
    const float limit = sizes[static_cast<std::size_t>(std::llround(0.3 * static_cast<double>(sizes.size())))];
    for (std::size_t i = 0; i < old->kept.size(); ++i) {
      if (old->kept[i] != 0 && std::abs(p.data[i]) >= limit) CHECK(now.kept[i] == 1);
      if (old->kept[i] != 0 || now.kept[i] == 0) continue;
      CHECK(p.data[i] == 0);
      ++grown;
      if (i < old->kept.size() / 2) ++in_first_half;
    }
  }
  CHECK(grown > 200);
  CHECK(std::abs(static_cast<double>(in_first_half) / static_cast<double>(grown) - 0.5) < 0.1);
  CHECK(*how.next_masks(3, weights, first) == *masks);
  CHECK(*how.next_masks(6, weights, first) != *masks);
  how.config.seed = 6;
  CHECK(*how.next_masks(3, weights, first) != *masks);
  CHECK(*how.next_masks(0, whole, {}) != first);
}

TEST_CASE("Whole blocks are exchanged, and their number stays", "[compress]") {
  const SmallRun run;
  SparseTraining how = often_exchanged(GENERATE(Growth::random, Growth::gradient));
  how.config.block_outputs = 8;
  how.config.block_inputs = 4;
  auto model = run.model<float>();
  SparseTrainer<float> trainer{model, run.sampler, small_distil(16), {}, {}, how};
  (void)trainer.step();
  const WeightMasks first = trainer.masks();
  for (int update = 1; update < 16; ++update) (void)trainer.step();
  CHECK(trainer.masks() != first);
  for (std::size_t m = 0; m < first.size(); ++m) {
    const WeightMask& mask = trainer.masks()[m];
    CHECK(kept_count(mask) == kept_count(first[m]));
    CHECK(kept_count(mask) % 32 == 0);
    for (Index i = 0; i < mask.rows; ++i)
      for (Index o = 0; o < mask.columns; ++o)
        CHECK(mask.kept[static_cast<std::size_t>(i * mask.columns + o)] ==
              mask.kept[static_cast<std::size_t>(i / 4 * 4 * mask.columns + o / 8 * 8)]);
  }
}

TEST_CASE("Sparse training resumes with the same bits, at any number of threads, and learns", "[compress]") {
  const SmallRun run;
  const SparseTraining how = often_exchanged(GENERATE(Growth::random, Growth::gradient));
  const TemporaryFolder folder;
  DistilConfig config = small_distil(16);
  auto whole = run.model<float>();
  SparseTrainer<float> trainer{whole, run.sampler, config, {}, {}, how};
  const double first_loss = trainer.step().loss;
  double loss = 0;
  for (int update = 1; update < 16; ++update) loss = trainer.step().loss;
  CHECK(loss < 0.9 * first_loss);

  for (const int stop : {0, 1, 3, 4, 11, 15}) {
    CAPTURE(stop);
    auto part = run.model<float>(), model = part;
    SparseTrainer<float> first{part, run.sampler, config, {}, {}, how};
    for (int update = 0; update < stop; ++update) (void)first.step();
    first.save(folder / "run.ckpt");
    SparseTrainer<float> rest{model, run.sampler, config, {}, {}, how};
    rest.restore(folder / "run.ckpt");
    for (int update = stop; update < 16; ++update) (void)rest.step();
    CHECK(have_equal_bits(model, whole));
    CHECK(have_equal_bits(rest.averaged(), trainer.averaged()));
    CHECK(rest.masks() == trainer.masks());
  }

  config.thread_count = 2;
  auto model = run.model<float>();
  SparseTrainer<float> both{model, run.sampler, config, {}, {}, how};
  for (int update = 0; update < 16; ++update) (void)both.step();
  CHECK(have_equal_bits(model, whole));
  CHECK(both.masks() == trainer.masks());

  SparseTraining other = how;
  other.config.seed = 6;
  SparseTrainer<float> stranger{model, run.sampler, config, {}, {}, other};
  CHECK(has(error_of([&] { stranger.restore(folder / "run.ckpt"); }), "of another run"));
}

TEST_CASE("Sparse training that makes no sense is refused", "[compress]") {
  const SmallRun run;
  auto model = run.model<float>();
  struct Nobody {};
  const auto refusal = [&](const SparseTrainingConfig& config) {
    return error_of([&] {
      (void)distil(model, run.sampler, small_distil(10), Nobody{}, ActionCrossEntropy{}, OneRank{},
                   SparseTraining{config});
    });
  };
  CHECK(refusal({.sparsity = 1, .end = 5}) == "sparse training: sparsity is 1, it must lie in 0 .. 1 and be below 1");
  CHECK(has(refusal({.sparsity = std::nan(""), .end = 5}), "sparsity is nan"));
  CHECK(refusal({.drop_fraction = 1.5, .end = 5}) == "sparse training: drop_fraction is 1.5, it must lie in 0 .. 1");
  CHECK(refusal({.every = 0, .end = 5}) == "sparse training: every is 0, it must be at least 1");
  CHECK(refusal({.end = -1}) == "sparse training: end is -1, it must be at least 0");
  CHECK(refusal({.end = 5, .block_outputs = 0}) == "sparse training: block_outputs is 0, it must be at least 1");
  CHECK(refusal({.end = 11}) ==
        "sparse training: weights are exchanged until update 11, but the run has only 10 (train longer, or end "
        "earlier)");
  CHECK(refusal({.end = 5, .weights = {"nothing"}}) == "pruning: the model has no tensor \"nothing\"");
  CHECK(have_equal_bits(model, run.model<float>()));
}
