// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/sparse_gpt.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_run.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// Inputs of which neighbors are alike, and weights.
struct CorrelatedMap {
  Matrix<float> x{500, 32}, weight{32, 24};
  Matrix<double> second_moments;

  CorrelatedMap() {
    Rng rng{4};
    fill_normal(x, 1, rng);
    for (Index i = 1; i < x.cols(); ++i) x.col(i) += 0.8f * x.col(i - 1);
    fill_normal(weight, 1, rng);
    const Matrix<double> wide = x.cast<double>();
    second_moments = wide.transpose() * wide;
  }
  [[nodiscard]] double loss(const Matrix<float>& pruned) const {
    return static_cast<double>((x * (weight - pruned)).squaredNorm());
  }
};

Index zero_count(const Matrix<float>& weight) { return (weight.array() == 0).count(); }

}  // namespace

TEST_CASE("SparseGPT keeps the outputs better than magnitude and Wanda, at the same sparsity", "[compress]") {
  const CorrelatedMap map;
  for (const PruneConfig& config :
       {PruneConfig{.sparsity = 0.5}, PruneConfig{.sparsity = 0.75, .scope = PruneScope::output},
        PruneConfig{.sparsity = 0.5, .scope = PruneScope::group, .group = 4}}) {
    Matrix<float> weight = map.weight;
    const WeightMask mask = prune_by_sparse_gpt("map.weight", map.second_moments, config, 0.001, weight);
    CHECK(zero_count(weight) == static_cast<Index>(config.sparsity * 32 * 24));
    CHECK(sparsity_of({mask}) == config.sparsity);
    for (std::size_t i = 0; i < mask.kept.size(); ++i) CHECK((mask.kept[i] != 0) == (weight.data()[i] != 0));

    for (const PruneCriterion criterion : {PruneCriterion::magnitude, PruneCriterion::wanda}) {
      Linear<float> other{32, 24};
      other.weight = map.weight;
      PruneConfig plain = config;
      plain.criterion = criterion;
      plain.weights = {"map.weight"};
      struct OneMap {
        Linear<float> map;
        static constexpr auto parameters() { return std::tuple{Field{"map", &OneMap::map}}; }
      } one{other};
      std::vector<float> norms(32);
      for (Index i = 0; i < 32; ++i) norms[static_cast<std::size_t>(i)] = map.x.col(i).norm();
      (void)prune(one, plain, {{"map", norms}});
      CHECK(map.loss(weight) < 0.9 * map.loss(one.map.weight));
    }
  }
}

TEST_CASE("What is pruned first is made up for as least squares do", "[compress]") {
  Matrix<float> weight{{0.1f}, {2.0f}};
  const Matrix<double> second_moments{{4, 1}, {1, 2}};
  const WeightMask mask = prune_by_sparse_gpt("map.weight", second_moments, {.sparsity = 0.5}, 0, weight);
  CHECK(mask.kept == std::vector<std::uint8_t>{0, 1});
  CHECK(weight(0, 0) == 0);
  CHECK(weight(1, 0) == Approx(2.0 + 0.1 * 1 / 2));
}

TEST_CASE("Inputs that are not alike leave nothing to make up for", "[compress]") {
  Matrix<float> weight = CorrelatedMap{}.weight;
  Linear<float> plain{32, 24};
  plain.weight = weight;
  const Matrix<double> second_moments = Matrix<double>::Identity(32, 32) * 3;
  (void)prune(plain, {.sparsity = 0.6, .weights = {"weight"}});
  (void)prune_by_sparse_gpt("map.weight", second_moments, {.sparsity = 0.6}, 0.01, weight);
  CHECK(weight == plain.weight);
}

TEST_CASE("A transformer is pruned by SparseGPT with inputs as a calibration has seen them", "[compress]") {
  const SmallRun run;
  auto model = run.model<float>();
  const auto before = model;
  const Calibration calibration = calibrate(model, run.sampler, 4, Rng{1});

  const WeightMasks masks =
      prune_by_sparse_gpt(model, {.sparsity = 0.5, .scope = PruneScope::group, .group = 4}, calibration);

  CHECK(masks.size() == 8);
  validate_masks(masks, model);
  CHECK(sparsity_of(masks) == 0.5);
  CHECK(zero_count(model.blocks[1].feed_forward.down.weight) == model.blocks[1].feed_forward.down.weight.size() / 2);
  CHECK(model.head.weight == before.head.weight);

  auto same = before;
  const auto error = error_of([&] {
    (void)prune_by_sparse_gpt(same, {.weights = {"blocks.0.mlp.up.weight", "blocks.9.mlp.up.weight"}}, calibration);
  });
  CHECK(error == "SparseGPT: the model has no linear layer with \"blocks.9.mlp.up.weight\"");
  CHECK(have_equal_bits(same, before));
  const auto refusal = [&](const PruneConfig& config, const Calibration& known) {
    return error_of([&] { (void)prune_by_sparse_gpt(same, config, known); });
  };
  CHECK(refusal({.block_outputs = 16}, calibration) ==
        "SparseGPT: block_outputs is 16 and block_inputs is 1, both must be 1 (it prunes single weights)");
  CHECK(refusal({}, Calibration{before, "*.mlp.up"}) ==
        "SparseGPT: the calibration has no inputs of \"blocks.0.attention.qkv\"");
}
