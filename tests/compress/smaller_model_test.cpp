// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/smaller_model.hpp>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/io/model_file.hpp>
#include <icrl/train/distil.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"
#include "support/transformer_schemes.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

template <typename S>
Matrix<S> outputs_of_window(const CausalTransformer<S>& model, std::uint64_t seed = 3) {
  Rng rng{seed};
  const int steps = model.config.context;
  const std::vector<float> features = random_features(model.layout, steps, rng);
  typename CausalTransformer<S>::Cache cache;
  Matrix<S> outputs(steps, model.actions.parameter_count());
  model.forward(features, steps, cache, outputs);
  return outputs;
}

/// The model with all that is not kept silenced: the weights by which it writes to the residual stream are zero.
template <typename S>
CausalTransformer<S> silenced(CausalTransformer<S> model, const KeptParts& kept) {
  const auto holds = [](const std::vector<int>& numbers, Index number) {
    return std::find(numbers.begin(), numbers.end(), static_cast<int>(number)) != numbers.end();
  };
  for (std::size_t i = 0; i < model.blocks.size(); ++i) {
    Block<S>& block = model.blocks[i];
    const bool is_kept = holds(kept.layers, static_cast<Index>(i));
    const Index size = block.attention.head_size();
    for (Index h = 0; h < block.attention.head_count; ++h)
      if (!is_kept || !holds(kept.heads[i], h)) block.attention.output.weight.middleRows(h * size, size).setZero();
    for (Index n = 0; n < block.feed_forward.hidden_size(); ++n)
      if (!is_kept || !holds(kept.neurons[i], n)) block.feed_forward.down.weight.row(n).setZero();
    if (is_kept) continue;
    block.attention.output.bias.setZero();
    block.feed_forward.down.bias.setZero();
  }
  return model;
}

}  // namespace

TEST_CASE("A model without silent heads, neurons and layers says what the whole one says", "[compress]") {
  for (const TransformerConfig& config : all_schemes(9)) {
    const auto model = small_model<double>(config, grid_layout());
    KeptParts kept = all_parts(config);
    kept.heads[0] = {static_cast<int>(kept.heads[0].size()) - 1};
    kept.neurons[0] = {0, 2, 3, 7, 11};
    kept.neurons[1] = {1, 4};
    const bool drops_layer = config.positions == PositionScheme::rotary;
    if (drops_layer) kept.layers = {1};

    const auto smaller = smaller_model(model, kept);

    const Matrix<double> whole = outputs_of_window(model), expected = outputs_of_window(silenced(model, kept));
    CHECK((outputs_of_window(smaller) - expected).cwiseAbs().maxCoeff<Eigen::PropagateNaN>() < 1e-13);
    CHECK((whole - expected).cwiseAbs().maxCoeff() > 1e-3);
    CHECK(parameter_count(smaller) < parameter_count(model));
    CHECK(parameter_count(smaller) == CausalTransformer<double>::weight_count(smaller.config, smaller.layout));
  }
}

TEST_CASE("A model of all parts is the model itself, bit for bit", "[compress]") {
  for (const TransformerConfig& config : all_schemes(5)) {
    const auto model = small_model(config, number_layout());
    const auto same = smaller_model(model, all_parts(config));
    CHECK(same.config == config);
    CHECK(have_equal_bits(same, model));
  }
}

TEST_CASE("The shape of a smaller model has lists by layer only where layers differ", "[compress]") {
  const TransformerConfig config{.width = 16, .layer_count = 3, .head_count = 4, .hidden = 8, .context = 4};
  KeptParts kept = all_parts(config);
  kept.layers = {0, 2};
  TransformerConfig expected = config;
  expected.layer_count = 2;
  CHECK(smaller_config(config, kept) == expected);  // as older versions know it

  kept.neurons = {{0, 1}, {}, {3, 7}};  // of a layer that goes, nothing is asked
  expected.hidden = 2;
  CHECK(smaller_config(config, kept) == expected);

  kept.neurons[2] = {4, 5, 6};
  expected.hidden = 8;
  expected.layer_hidden = {2, 3};
  CHECK(smaller_config(config, kept) == expected);

  kept.heads[2] = {0, 3};
  expected.layer_heads = {4, 2};
  CHECK(smaller_config(config, kept) == expected);
  CHECK(smaller_config(config, kept).head_size() == config.head_size());
}

TEST_CASE("Parts that a model does not have are refused by name", "[compress]") {
  const TransformerConfig config = small_config(4);
  const auto refusal = [&](auto change) {
    KeptParts kept = all_parts(config);
    change(kept);
    return error_of([&] { validate(kept, config); });
  };
  CHECK(refusal([](KeptParts&) {}).empty());
  CHECK(refusal([](KeptParts& kept) { kept.layers = {}; }) ==
        "smaller model: the list of layers is empty, at least one of 2 must be kept");
  CHECK(refusal([](KeptParts& kept) {
          kept.layers = {0, 2};
        }) == "smaller model: the list of layers contains 2, its numbers must lie in 0 .. 1");
  CHECK(refusal([](KeptParts& kept) {
          kept.heads[1] = {1, 0};
        }) == "smaller model: the list of layer 1's heads lists 0 after 1, its numbers must be strictly ascending");
  CHECK(refusal([](KeptParts& kept) { kept.neurons[0] = {-1}; }) ==
        "smaller model: the list of layer 0's neurons contains -1, its numbers must lie in 0 .. 63");
  CHECK(refusal([](KeptParts& kept) { kept.heads.pop_back(); }) ==
        "smaller model: heads has 1 lists and neurons 2, both need one per layer of the model, 2");
}

TEST_CASE("A smaller model is saved, loaded, trained and acts as any model", "[compress]") {
  const SmallRun run;
  KeptParts kept = all_parts(run.shape);
  kept.heads[1] = {1};
  kept.neurons[0].resize(24);
  auto smaller = smaller_model(run.model<float>(), kept);
  const TemporaryFolder folder;

  save_model(smaller, folder / "smaller.safetensors");
  const auto loaded = load_model<CausalTransformer<float>>(folder / "smaller.safetensors");
  CHECK(loaded.config == smaller.config);
  CHECK(have_equal_bits(loaded, smaller));

  struct Losses {
    std::vector<double> values;
    void on_update(const DistilMetrics& metrics) { values.push_back(metrics.loss); }
  } losses;
  (void)distil(smaller, run.sampler, small_distil(30), losses);
  CHECK(losses.values.back() < losses.values.front());

  InContextAgent agent{smaller};
  Rng rng{1};
  const std::vector<float> observation{1, 2};
  std::vector<float> action(1);
  for (int t = 0; t < 20; ++t) {
    agent.act(observation, action, rng);
    for (const float output : agent.outputs()) CHECK(std::isfinite(output));
    agent.learn({observation, action, 0.5f, observation, t % 3 == 2, false});
  }
}
