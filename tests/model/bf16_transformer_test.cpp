// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/bf16_transformer.hpp>

#include <string>

#include <icrl/model/image_step_encoder.hpp>
#include <icrl/model/value_head.hpp>

#include "support/catch.hpp"
#include "support/transformer_schemes.hpp"

using namespace icrl;
using namespace icrl::test;

static_assert(HasBf16Pass<CausalTransformer<float>> && !HasBf16Pass<CausalTransformer<double>>);
static_assert(TrainingPass<Bf16Transformer, CausalTransformer<float>>);

TEST_CASE("Passes in bfloat16 agree with those in float under every scheme, also after a longer one", "[model]") {
  for (const StepLayout& layout : {grid_layout(), number_layout()}) {
    for (TransformerConfig config : all_schemes(60)) {
      config.width = 32;
      CAPTURE(config.positions, config.tokens);
      CausalTransformer<float> model{config, layout};
      Rng rng{3};
      model.initialize(rng);
      Bf16Transformer bf16{model};
      bf16.pack();
      CausalTransformer<float>::Cache full;
      Bf16Transformer::Cache quick;
      for (const int steps : {60, 21, 1}) {
        const std::vector<float> features = random_features(layout, steps, rng);
        const Index size = model.actions.parameter_count();
        Matrix<float> expected(steps, size), found(steps, size), derivative(steps, size);
        fill_normal(derivative, 1, rng);
        auto expected_grad = model, found_grad = model;
        set_zero(expected_grad);
        set_zero(found_grad);

        model.forward(features, steps, full, expected);
        model.backward(features, steps, derivative, full, expected_grad);
        bf16.forward(features, steps, quick, found);
        bf16.backward(features, steps, derivative, quick, found_grad);

        CHECK((found - expected).norm() < 0.02f * expected.norm());
        CHECK(found != expected);
        // Of the queries and keys of a single token nothing depends, and nothing of a key's bias.
        for_each_parameter(
            [&](std::string_view name, const auto& a, const auto& b) {
              CAPTURE(std::string{name});
              if (name.find("qkv") == std::string_view::npos) CHECK((a - b).norm() <= 0.05f * b.norm());
            },
            found_grad, expected_grad);
      }
    }
  }
}

TEST_CASE("Passes in bfloat16 serve a transformer with images and a value", "[model]") {
  using M = CausalTransformer<float, ValueParts<float, ImageParts<float>>>;
  const StepLayout layout{.observation_space = image_box(5, 5, 1), .action_space = Discrete{3}};
  M model{{.width = 32, .layer_count = 2, .head_count = 2, .context = 20}, layout};
  Rng rng{3};
  model.initialize(rng);
  Bf16Pass<M> bf16{model};
  bf16.pack();
  const std::vector<float> features = random_features(layout, 20, rng);
  M::Cache full;
  Bf16Pass<M>::Cache quick;
  Matrix<float> expected(20, 4), found(20, 4), derivative(20, 4);
  fill_normal(derivative, 1, rng);
  M expected_grad = model, found_grad = model;
  set_zero(expected_grad);
  set_zero(found_grad);

  model.forward(features, 20, full, expected);
  model.backward(features, 20, derivative, full, expected_grad);
  bf16.forward(features, 20, quick, found);
  bf16.backward(features, 20, derivative, quick, found_grad);

  CHECK((found - expected).norm() < 0.02f * expected.norm());
  CHECK(found != expected);
  const auto& images = found_grad.embedding.images.convolutions[0].weight;
  const auto& expected_images = expected_grad.embedding.images.convolutions[0].weight;
  CHECK((images - expected_images).norm() < 0.05f * expected_images.norm());
  CHECK(expected_images.norm() > 0);
}

TEST_CASE("A transformer whose heads have an odd size has no pass in bfloat16", "[model]") {
  CHECK(Bf16Transformer::can_be(CausalTransformer<float>{{.width = 12, .head_count = 2}, grid_layout()}));
  CHECK_FALSE(Bf16Transformer::can_be(CausalTransformer<float>{{.width = 12, .head_count = 4}, grid_layout()}));
}
