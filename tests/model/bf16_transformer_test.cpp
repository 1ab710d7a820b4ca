// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/bf16_transformer.hpp>

#include <string>

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

TEST_CASE("A transformer whose heads have an odd size has no pass in bfloat16", "[model]") {
  CHECK(Bf16Transformer::can_be(CausalTransformer<float>{{.width = 12, .head_count = 2}, grid_layout()}));
  CHECK_FALSE(Bf16Transformer::can_be(CausalTransformer<float>{{.width = 12, .head_count = 4}, grid_layout()}));
}
