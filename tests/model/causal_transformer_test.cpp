// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/causal_transformer.hpp>

#include <algorithm>

#include <icrl/model/concepts.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradient.hpp"
#include "support/largest_magnitude.hpp"
#include "support/transformer_schemes.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

static_assert(Trainable<CausalTransformer<float>>);
static_assert(Streaming<CausalTransformer<float>>);

/// The loss summed over all steps of a window, and its derivative by the outputs.
double window_loss(const CausalTransformer<double>& model, const Matrix<double>& outputs,
                   const std::vector<float>& actions, Matrix<double>* doutputs) {
  const auto outputs_size = static_cast<std::size_t>(outputs.cols()),
             size = static_cast<std::size_t>(model.layout.action_size());
  double total = 0;
  for (Index t = 0; t < outputs.rows(); ++t) {
    const auto label = std::span{actions}.subspan(static_cast<std::size_t>(t) * size, size);
    const auto derivative =
        doutputs == nullptr ? std::span<double>{} : std::span<double>{row_data(*doutputs, t), outputs_size};
    total += model.actions.loss_and_gradient<double>({row_data(outputs, t), outputs_size}, label, 0.1, 1.0, derivative);
  }
  return total;
}

}  // namespace

TEST_CASE("The whole model's backward matches finite differences in every scheme and both heads", "[model][gradient]") {
  for (const StepLayout& layout : {grid_layout(), number_layout()}) {
    for (const TransformerConfig& config : all_schemes(6)) {
      Rng rng{11};
      CausalTransformer<double> model{config, layout};
      randomise(model, rng, 0.3);
      CHECK(CausalTransformer<double>::weight_count(config, layout) == parameter_count(model));
      const std::vector<float> features = random_features(layout, 6, rng);
      std::vector<float> actions(static_cast<std::size_t>(6 * layout.action_size()));
      for (int t = 0; t < 6; ++t)
        sample(layout.action_space, rng,
               std::span{actions}.subspan(static_cast<std::size_t>(t * layout.action_size()),
                                          static_cast<std::size_t>(layout.action_size())));
      CausalTransformer<double>::Cache cache;
      Matrix<double> outputs(6, model.actions.parameter_count()), doutputs = outputs;
      const auto loss = [&] {
        model.forward(features, 6, cache, outputs);
        return window_loss(model, outputs, actions, nullptr);
      };
      loss();
      window_loss(model, outputs, actions, &doutputs);
      CausalTransformer<double> grad = model;
      set_zero(grad);

      model.backward(features, 6, doutputs, cache, grad);

      const auto [error, name] = worst_parameter_error(model, grad, loss);
      INFO("worst tensor: " << name);
      CHECK(error < 1e-8);
    }
  }
}

TEST_CASE("One step at a time gives what the whole window gives, in every scheme", "[model]") {
  for (const StepLayout& layout : {grid_layout(), number_layout()}) {
    for (const TransformerConfig& config : all_schemes(37)) {
      Rng rng{5};
      CausalTransformer<double> model{config, layout};
      randomise(model, rng, 0.3);
      const std::vector<float> features = random_features(layout, 37, rng);
      CausalTransformer<double>::Cache cache;
      CausalTransformer<double>::StreamWorkspace workspace;
      auto memory = model.make_state();
      Matrix<double> whole(37, model.actions.parameter_count()), one(1, model.actions.parameter_count());
      model.forward(features, 37, cache, whole);

      for (int t = 0; t < 37; ++t) {
        const StreamInput<KeyValueCache<double>> lane{&memory, features.data() + t * layout.feature_count()};
        model.step({&lane, 1}, workspace, one);
        CHECK(largest_magnitude(one.row(0) - whole.row(t)) < 1e-12);
      }
      CHECK(memory.length() == 37);
    }
  }
}

TEST_CASE("Lanes of one pass do not touch each other", "[model]") {
  const StepLayout layout = grid_layout();
  Rng rng{6};
  CausalTransformer<float> model{{.width = 32, .layer_count = 2, .head_count = 2, .context = 20}, layout};
  model.initialize(rng);
  const std::vector<float> features = random_features(layout, 20, rng);
  CausalTransformer<float>::StreamWorkspace workspace;
  auto first = model.make_state(), second = model.make_state(), alone = model.make_state();
  Matrix<float> pair(2, 3), single(1, 3);
  const auto row = [&](int t) { return features.data() + t * layout.feature_count(); };

  for (int t = 0; t < 20; ++t) {
    const StreamInput<KeyValueCache<float>> lanes[] = {{&first, row(t)}, {&second, row(19 - t)}};
    model.step(lanes, workspace, pair);
    const StreamInput<KeyValueCache<float>> lane{&alone, row(t)};
    model.step({&lane, 1}, workspace, single);
    REQUIRE(pair.row(0) == single.row(0));
  }
}

TEST_CASE("A lane that does not act remembers as one that does, and its row of the outputs is left alone", "[model]") {
  const StepLayout layout = grid_layout();
  for (TransformerConfig config : all_schemes(10)) {
    Rng rng{6};
    CausalTransformer<float> model{config, layout};
    model.initialize(rng);
    const std::vector<float> features = random_features(layout, 10, rng);
    CausalTransformer<float>::StreamWorkspace workspace;
    auto silent = model.make_state(), other = model.make_state(), like_silent = model.make_state(),
         like_other = model.make_state();
    Matrix<float> outputs = Matrix<float>::Constant(2, 3, 7), expected(1, 3), unused(1, 3);
    const auto row = [&](int t) { return features.data() + t * layout.feature_count(); };
    for (int t = 0; t < 10; ++t) {
      const StreamInput<KeyValueCache<float>> lanes[] = {{&silent, row(9 - t), false}, {&other, row(t)}};
      model.step(lanes, workspace, outputs);
      const StreamInput<KeyValueCache<float>> first{&like_silent, row(9 - t)}, second{&like_other, row(t)};
      model.step({&first, 1}, workspace, unused);
      model.step({&second, 1}, workspace, expected);

      REQUIRE(outputs.row(0) == Matrix<float>::Constant(1, 3, 7));
      REQUIRE(outputs.row(1) == expected);
    }
    CHECK(std::ranges::equal(silent.storage(), like_silent.storage()));
    CHECK(std::ranges::equal(other.storage(), like_other.storage()));
  }
}

TEST_CASE("A workspace serves models of other shapes one after another", "[model]") {
  const StepLayout layout = grid_layout();
  CausalTransformer<float>::StreamWorkspace shared;
  for (const int heads : {8, 2}) {
    Rng rng{6};
    CausalTransformer<float> model{{.width = 32, .layer_count = 2, .head_count = heads, .context = 10}, layout};
    model.initialize(rng);
    const std::vector<float> features = random_features(layout, 5, rng);
    CausalTransformer<float>::StreamWorkspace own;
    auto first = model.make_state(), second = model.make_state();
    Matrix<float> outputs(1, 3), expected(1, 3);
    for (int t = 0; t < 5; ++t) {  // the first token looks at nothing but itself
      const float* const row = features.data() + t * layout.feature_count();
      const StreamInput<KeyValueCache<float>> lane{&first, row}, alone{&second, row};
      model.step({&lane, 1}, shared, outputs);
      model.step({&alone, 1}, own, expected);
      CHECK(outputs == expected);
    }
  }
}

TEST_CASE("A layout that makes no model is refused", "[model]") {
  const auto refusal = [](const Space& observation_space, const Space& action_space) {
    return error_of([&] {
      CausalTransformer<float>{{.width = 8, .head_count = 2, .context = 4}, {observation_space, action_space}};
    });
  };
  CHECK(has(refusal(Discrete{0}, Discrete{2}), "step layout, observations"));
  CHECK(has(refusal(Discrete{2}, MultiDiscrete{{}}), "step layout, actions"));
  CHECK(has(refusal(Discrete{2}, Box{{0, 0}, {1}}), "2 lower and 1 upper bounds"));
}

TEST_CASE("A shape that makes no model is refused with the value that is wrong", "[model]") {
  const auto refusal = [](const TransformerConfig& config) {
    return error_of([&] { CausalTransformer<float>{config, grid_layout()}; });
  };

  CHECK(has(refusal({.width = 10, .head_count = 3}), "width is 10"));
  CHECK(has(refusal({.width = 6, .head_count = 2, .positions = PositionScheme::rotary}), "even size"));
  CHECK(has(refusal({.layer_count = 0}), "layer_count is 0"));
  CHECK(has(refusal({.context = 1 << 30}), "context"));
  CHECK(has(refusal({.reward_scale = 1e300}), "reward_scale"));
}
