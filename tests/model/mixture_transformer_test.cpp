// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/mixture_transformer.hpp>

#include <algorithm>

#include <icrl/model/concepts.hpp>
#include <icrl/model/fingerprint.hpp>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradient.hpp"
#include "support/transformer_schemes.hpp"

using namespace icrl;
using namespace icrl::test;

static_assert(Trainable<MixtureTransformer<float>> && Streaming<MixtureTransformer<float>>);
static_assert(!HasBf16Pass<MixtureTransformer<float>>);

namespace {

MixtureTransformerConfig small_mixture(int context) {
  return {{.width = 8, .layer_count = 2, .head_count = 2, .hidden = 6, .context = context}, {.expert_count = 4}};
}

template <typename S>
MixtureTransformer<S> random_model(const MixtureTransformerConfig& config, std::uint64_t seed = 11) {
  MixtureTransformer<S> model{config, grid_layout()};
  Rng rng{seed};
  randomise(model, rng, 0.3);
  return model;
}

/// The smallest distance between the logit of a chosen expert and of one that is not: a finite difference must not
/// change the choice.
double smallest_margin(const MixtureTransformer<double>& model, const MixtureTransformer<double>::Cache& cache,
                       Index tokens) {
  double margin = 1e9;
  const auto k = static_cast<std::size_t>(model.config.experts_per_token);
  for (const auto& block : cache.blocks) {
    for (Index t = 0; t < tokens; ++t) {
      const auto row = block.feed_forward.logits.row(t);
      std::vector<double> logits(row.begin(), row.end());
      std::sort(logits.rbegin(), logits.rend());
      margin = std::min(margin, logits[k - 1] - logits[k]);
    }
  }
  return margin;
}

}  // namespace

TEST_CASE("The gradient of a whole mixture model is that of its loss and of all auxiliary losses",
          "[model][gradient]") {
  for (const TransformerConfig& scheme : all_schemes(6)) {
    const MixtureTransformerConfig config{
        scheme, {.expert_count = 3, .experts_per_token = 2, .balance_weight = 0.5, .z_weight = 0.25}};
    Rng rng{2};
    auto model = random_model<double>(config);
    const std::vector<float> features = random_features(model.layout, 6, rng);
    const Matrix<double> doutputs = random_matrix(6, model.actions.parameter_count(), rng);
    MixtureTransformer<double>::Cache cache;
    Matrix<double> outputs(6, model.actions.parameter_count());
    const auto loss = [&] {
      model.forward(features, 6, cache, outputs);
      double total = outputs.cwiseProduct(doutputs).sum();
      for (std::size_t i = 0; i < model.blocks.size(); ++i)
        total += model.blocks[i].feed_forward.auxiliary_loss(cache.blocks[i].feed_forward);
      return total;
    };
    for (std::uint64_t seed = 0; loss(), smallest_margin(model, cache, 6 * config.tokens_per_step()) < 0.02; ++seed)
      copy_weights(random_model<double>(config, seed), model);
    MixtureTransformer<double> grad = model;
    set_zero(grad);

    model.backward(features, 6, doutputs, cache, grad);

    const auto [error, name] = worst_parameter_error(model, grad, loss);
    INFO("worst tensor: " << name);
    CHECK(error < 1e-8);
    CHECK(MixtureTransformer<double>::weight_count(config, model.layout) == parameter_count(model));
  }
}

TEST_CASE("A mixture model says step by step what it says of the whole window", "[model]") {
  const auto model = random_model<double>(small_mixture(30));
  Rng rng{2};
  const std::vector<float> features = random_features(model.layout, 30, rng);
  const auto size = static_cast<std::size_t>(model.layout.feature_count());
  MixtureTransformer<double>::Cache cache;
  MixtureTransformer<double>::StreamWorkspace workspace;
  Matrix<double> whole(30, model.actions.parameter_count()), one(1, model.actions.parameter_count());
  auto state = model.make_state();

  model.forward(features, 30, cache, whole);

  for (std::size_t t = 0; t < 30; ++t) {
    const StreamInput<MixtureTransformer<double>::State> input{&state, features.data() + t * size};
    model.step({&input, 1}, workspace, one);
    CHECK((one - whole.row(static_cast<Index>(t))).norm() < 1e-11);
  }
}

TEST_CASE("A mixture model gives eight streams in one pass the bits of eight passes, and allocates nothing",
          "[model]") {
  const auto model = random_model<float>(small_mixture(20));
  using State = MixtureTransformer<float>::State;
  const auto size = static_cast<std::size_t>(model.layout.feature_count());
  std::vector<std::vector<float>> features;
  for (std::uint64_t i = 0; i < 8; ++i) {
    Rng rng{i};
    features.push_back(random_features(model.layout, 20, rng));
  }
  std::vector<State> together = model.make_states(8), alone = model.make_states(8);
  MixtureTransformer<float>::StreamWorkspace workspace, own;
  Matrix<float> outputs(8, model.actions.parameter_count()), one(1, model.actions.parameter_count());
  model.reserve(workspace, 8);
  model.reserve(own, 1);
  std::vector<StreamInput<State>> inputs(8);
  bool are_equal = true;

  const AllocationCount allocations;
  for (std::size_t t = 0; t < 20; ++t) {
    for (std::size_t i = 0; i < 8; ++i) inputs[i] = {&together[i], features[i].data() + t * size};
    model.step(inputs, workspace, outputs);
    for (std::size_t i = 0; i < 8; ++i) {
      const StreamInput<State> input{&alone[i], features[i].data() + t * size};
      model.step({&input, 1}, own, one);
      are_equal = are_equal && one.row(0) == outputs.row(static_cast<Index>(i));
    }
  }

  CHECK(are_equal);
  CHECK(allocations.count() == 0);
}

TEST_CASE("Training passes of a mixture model allocate nothing after the first", "[model]") {
  SKIP_UNLESS_AVAILABLE(AllocationCount);
  const auto model = random_model<float>(small_mixture(20));
  MixtureTransformer<float> grad = model;
  MixtureTransformer<float>::Cache cache;
  Matrix<float> outputs(20, model.actions.parameter_count());
  std::vector<std::vector<float>> features;
  for (std::uint64_t i = 0; i < 8; ++i) {
    Rng rng{i};
    features.push_back(random_features(model.layout, 20, rng));
  }
  const auto pass = [&](const std::vector<float>& window, int steps) {
    model.forward(window, steps, cache, outputs.topRows(steps));
    model.backward(window, steps, outputs.topRows(steps), cache, grad);
  };
  pass(features[0], 20);

  const AllocationCount allocations;
  for (const auto& window : features) {
    pass(window, 20);
    pass(window, 7);
  }

  CHECK(allocations.count() == 0);
}

TEST_CASE("Expert loads of a batch count every choice of every layer", "[model]") {
  auto model = random_model<float>(small_mixture(5));
  model.blocks[1].feed_forward.router.weight.setZero();
  model.blocks[1].feed_forward.router.bias << 0, 5, 0, 4;
  ContextBatch batch;
  batch.resize(3, 5, model.layout);
  Rng rng{2};
  for (int b = 0; b < 3; ++b) {
    const std::vector<float> features = random_features(model.layout, 5, rng);
    std::copy(features.begin(), features.end(), batch.features_of(b).begin());
    batch.lengths[static_cast<std::size_t>(b)] = 5 - b;
  }

  const std::vector<ExpertLoad> loads = expert_loads(model, batch);

  REQUIRE(loads.size() == 2);
  CHECK(loads[0].choices[0] + loads[0].choices[1] + loads[0].choices[2] + loads[0].choices[3] == 2 * (5 + 4 + 3));
  CHECK(loads[1].choices == std::vector<std::int64_t>{0, 12, 0, 12});
  CHECK(loads[1].coefficient_of_variation() == 1);
}

TEST_CASE("The configuration of a mixture model is checked and described as a whole", "[model]") {
  const auto refusal = [](const MixtureTransformerConfig& config) {
    return error_of([&] { (void)MixtureTransformer<float>{config, grid_layout()}; });
  };

  CHECK(refusal(small_mixture(5)).empty());
  CHECK(refusal({{.width = 0}, {}}) == "transformer: width is 0, it must lie in 1 .. 8192");
  CHECK(refusal({{}, {.expert_count = 2, .experts_per_token = 3}}) ==
        "mixture of experts: experts_per_token is 3, it can be at most expert_count = 2");
  const std::string text = describe(random_model<float>(small_mixture(5)));
  CHECK(text.starts_with("mixture_of_experts_transformer, 32-bit, width 8, layers 2"));
  CHECK(has(text, "experts 4, experts per token 2, load balance 0.01, z-loss 0.001, capacity factor 0"));
  CHECK(has(help_text<MixtureTransformerConfig>(), "expert_count (8): experts in every layer; 1 .. 256"));
}
