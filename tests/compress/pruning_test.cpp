// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/pruning.hpp>

#include <cmath>

#include <icrl/nn/linear.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_run.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// A model of two maps by themselves, whose tensors are "blocks.0.weight" and "blocks.1.weight".
struct TwoMaps {
  std::vector<Linear<float>> blocks;
  static constexpr auto parameters() { return std::tuple{Field{"blocks", &TwoMaps::blocks}}; }
};
TwoMaps two_maps(const Matrix<float>& first, const Matrix<float>& second) {
  TwoMaps maps;
  for (const auto& weight : {first, second}) {
    maps.blocks.emplace_back(weight.rows(), weight.cols());
    maps.blocks.back().weight = weight;
    maps.blocks.back().bias.setOnes();
  }
  return maps;
}
TwoMaps random_two_maps(Index in, Index out, std::uint64_t seed = 1) {
  Rng rng{seed};
  Matrix<float> a(in, out), b(in, out);
  fill_normal(a, 1, rng);
  fill_normal(b, 0.1, rng);
  return two_maps(a, b);
}

std::string mask_bits(const WeightMask& mask) {
  std::string text;
  for (const std::uint8_t kept : mask.kept) text += kept != 0 ? '1' : '0';
  return text;
}
double mask_sparsity(const WeightMask& mask) { return sparsity_of({mask}); }

}  // namespace

TEST_CASE("Weights of the least magnitude are pruned, of a map or of all", "[compress]") {
  auto maps = two_maps(Matrix<float>{{1, -2}, {3, -4}}, Matrix<float>{{0.3f, 0.2f}, {-0.4f, 0.1f}});

  WeightMasks masks = pruning_masks(maps, {.sparsity = 0.5});
  CHECK(masks[0].name == "blocks.0.weight");
  CHECK(mask_bits(masks[0]) == "0011");
  CHECK(mask_bits(masks[1]) == "1010");

  masks = pruning_masks(maps, {.sparsity = 0.625, .scope = PruneScope::all});
  CHECK(mask_bits(masks[0]) == "0111");
  CHECK(mask_bits(masks[1]) == "0000");

  masks = pruning_masks(maps, {.sparsity = 0.5, .scope = PruneScope::output});
  CHECK(mask_bits(masks[0]) == "0011");
  CHECK(mask_bits(masks[1]) == "0110");

  masks = pruning_masks(maps, {.sparsity = 0.25, .weights = {"blocks.1.weight"}});
  REQUIRE(masks.size() == 1);
  CHECK(mask_bits(masks[0]) == "1110");
  CHECK(maps.blocks[0].weight(0, 0) == 1);  // the model stays as it is

  masks = prune(maps, {.sparsity = 0.5});
  CHECK(maps.blocks[0].weight == Matrix<float>{{0, 0}, {3, -4}});
  CHECK(maps.blocks[1].weight == Matrix<float>{{0.3f, 0}, {-0.4f, 0}});
  CHECK(maps.blocks[0].bias(0) == 1);
}

TEST_CASE("Wanda weighs by the norms of inputs", "[compress]") {
  const auto maps = two_maps(Matrix<float>{{1, -2}, {3, -4}, {5, 6}}, Matrix<float>{{1, 1}, {1, 1}, {1, 1}});
  const InputNorms norms{{"blocks.0", {10, 2, 0.1f}}, {"blocks.1", {3, 1, 2}}};
  const PruneConfig config{
      .sparsity = 1.0 / 3, .criterion = PruneCriterion::wanda, .scope = PruneScope::output, .weights = {}};

  const WeightMasks masks = pruning_masks(maps, config, norms);
  CHECK(mask_bits(masks[0]) == "111100");  // products 10 20, 6 8, .5 .6
  CHECK(mask_bits(masks[1]) == "110011");

  CHECK(error_of([&] {
          (void)pruning_masks(maps, config, {{"blocks.0", {1, 1, 1}}});
        }) ==
        "pruning: Wanda needs the input norms of the linear layer \"blocks.1\", which are missing (see input_norms)");
  CHECK(error_of([&] {
          (void)pruning_masks(maps, config, {{"blocks.0", {1, 1}}});
        }) == "pruning: there are 2 input norms for the linear layer \"blocks.0\", which has 3 inputs");
}

TEST_CASE("N:M keeps the largest N of every M neighboring inputs of each output", "[compress]") {
  struct Case {
    double sparsity;
    int group;
    Index kept;
  };
  const auto maps = random_two_maps(24, 7);
  for (const auto& [share, group, kept] : {Case{0.5, 4, 2}, Case{0.5, 8, 4}, Case{0.75, 4, 1}, Case{0.25, 4, 3}}) {
    const WeightMasks masks = pruning_masks(maps, {.sparsity = share, .scope = PruneScope::group, .group = group});
    for (std::size_t m = 0; m < 2; ++m) {
      for (Index o = 0; o < 7; ++o) {
        for (Index first = 0; first < 24; first += group) {
          float least_kept = 1e9f, most_pruned = 0;
          Index count = 0;
          for (Index i = first; i < first + group; ++i) {
            const float size = std::abs(maps.blocks[m].weight(i, o));
            const bool is_kept = masks[m].kept[static_cast<std::size_t>(i * 7 + o)] != 0;
            count += is_kept ? 1 : 0;
            if (is_kept) least_kept = std::min(least_kept, size);
            if (!is_kept) most_pruned = std::max(most_pruned, size);
          }
          CHECK(count == kept);
          CHECK(most_pruned <= least_kept);
        }
      }
    }
  }
  // A last group of 2 keeps as many as a full one; of 3 the two largest.
  CHECK(mask_bits(pruning_masks(random_two_maps(6, 1), {.scope = PruneScope::group})[0]).substr(4) == "11");
  CHECK(mask_sparsity(pruning_masks(random_two_maps(7, 5), {.scope = PruneScope::group})[0]) == Approx(3.0 / 7));
}

TEST_CASE("Blocks of weights are pruned as a whole, by their norms", "[compress]") {
  const auto maps = random_two_maps(10, 40);  // the last block of a row has 8 outputs
  const WeightMasks masks = pruning_masks(maps, {.sparsity = 0.6, .block_outputs = 16});
  const auto& weight = maps.blocks[0].weight;
  double least_kept = 1e9, most_pruned = 0;
  int pruned = 0;
  for (Index i = 0; i < 10; ++i) {
    for (Index first = 0; first < 40; first += 16) {
      const Index size = std::min<Index>(16, 40 - first);
      const auto norm = static_cast<double>(weight.row(i).segment(first, size).norm());
      const auto begin = masks[0].kept.begin() + i * 40 + first;
      const bool is_kept = *begin != 0;
      CHECK(std::all_of(begin, begin + size, [&](std::uint8_t kept) { return kept == *begin; }));
      if (is_kept) least_kept = std::min(least_kept, norm);
      if (!is_kept) most_pruned = std::max(most_pruned, norm);
      pruned += is_kept ? 0 : 1;
    }
  }
  CHECK(pruned == 18);
  CHECK(most_pruned <= least_kept);

  // 16 x 4, of each column of blocks the same share
  const WeightMasks square = pruning_masks(
      random_two_maps(16, 32), {.sparsity = 0.75, .scope = PruneScope::output, .block_outputs = 16, .block_inputs = 4});
  for (Index panel = 0; panel < 2; ++panel) {
    int kept = 0;
    for (Index block = 0; block < 4; ++block) {
      const std::uint8_t is_kept = square[1].kept[static_cast<std::size_t>(block * 4 * 32 + panel * 16)];
      for (Index i = 0; i < 4; ++i)
        for (Index o = 0; o < 16; ++o)
          CHECK(square[1].kept[static_cast<std::size_t>((block * 4 + i) * 32 + panel * 16 + o)] == is_kept);
      kept += is_kept;
    }
    CHECK(kept == 1);
  }
}

TEST_CASE("What is pruned already stays pruned, and counts", "[compress]") {
  auto maps = random_two_maps(8, 8);
  const WeightMasks before = prune(maps, {.sparsity = 0.5});
  maps.blocks[0].weight = random_two_maps(8, 8, 2).blocks[0].weight;  // as if pruned weights had become large

  for (const PruneScope scope : {PruneScope::all, PruneScope::map, PruneScope::output, PruneScope::group}) {
    const WeightMasks after = pruning_masks(maps, {.sparsity = 0.75, .scope = scope}, {}, before);
    for (std::size_t m = 0; m < 2; ++m)
      for (std::size_t i = 0; i < 64; ++i) CHECK(after[m].kept[i] <= before[m].kept[i]);
    if (scope <= PruneScope::map) CHECK(sparsity_of(after) == Approx(0.75));
  }
}

TEST_CASE("Equal weights are pruned in their order, extremes of sparsity keep all or none", "[compress]") {
  const auto maps = two_maps(Matrix<float>::Ones(2, 4), Matrix<float>::Ones(2, 4));
  CHECK(mask_bits(pruning_masks(maps, {.sparsity = 0.25})[0]) == "00111111");
  CHECK(mask_bits(pruning_masks(maps, {.sparsity = 0})[0]) == "11111111");
  CHECK(mask_bits(pruning_masks(maps, {.sparsity = 1, .scope = PruneScope::all})[1]) == "00000000");
}

TEST_CASE("Of a transformer the linear maps of its blocks are pruned", "[compress]") {
  const SmallRun run;
  auto model = run.model<float>();
  const WeightMasks masks = prune(model, {.sparsity = 0.75});
  CHECK(masks.size() == 8);
  CHECK(masks[0].name == "blocks.0.attention.qkv.weight");
  CHECK(masks[7].name == "blocks.1.mlp.down.weight");
  CHECK(sparsity_of(masks) == Approx(0.75));
  CHECK((model.blocks[1].feed_forward.down.weight.array() == 0).count() == 768);
  CHECK((model.head.weight.array() == 0).count() == 0);
}

TEST_CASE("Wanda prunes a transformer by the norms of a calibration", "[compress]") {
  const SmallRun run;
  auto model = run.model<float>();
  const Calibration calibration = calibrate(model, run.sampler, 3, Rng{1});
  const InputNorms norms = input_norms(calibration);
  CHECK(norms.size() == 9);
  const InputStatistics& inputs = *calibration.find("blocks.1.mlp.down");
  CHECK(norms.at("blocks.1.mlp.down").size() == 64);
  CHECK(norms.at("blocks.1.mlp.down")[5] ==
        Approx(std::sqrt(inputs.mean_square(5) * static_cast<double>(inputs.rows))));

  auto other = model;
  const WeightMasks masks = prune(model, {.criterion = PruneCriterion::wanda, .scope = PruneScope::output}, norms);
  CHECK(masks != prune(other, {.scope = PruneScope::output}));
  CHECK(sparsity_of(masks) == 0.5);
}

TEST_CASE("Pruning that makes no sense is refused", "[compress]") {
  auto maps = random_two_maps(2, 2);
  const auto refusal = [&](const PruneConfig& config) { return error_of([&] { (void)prune(maps, config); }); };
  CHECK(refusal({.sparsity = 1.5}) == "pruning: sparsity is 1.5, it must lie in 0 .. 1");
  CHECK(refusal({.sparsity = std::nan("")}) == "pruning: sparsity is nan, it must lie in 0 .. 1");
  CHECK(refusal({.group = 0}) == "pruning: group is 0, it must be positive");
  CHECK(refusal({.block_outputs = -1}) == "pruning: block_outputs is -1, it must be positive");
  CHECK(refusal({.block_inputs = 0}) == "pruning: block_inputs is 0, it must be positive");
  CHECK(refusal({.weights = {"blocks.7.weight"}}) == "pruning: the model has no tensor \"blocks.7.weight\"");
  Linear<float> alone{2, 2};
  CHECK(error_of([&] { (void)prune(alone, {}); }) ==
        "pruning: the model has no blocks with linear maps; name the tensors to be pruned");
  CHECK(prune(alone, {.weights = {"weight"}}).size() == 1);
}
