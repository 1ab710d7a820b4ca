// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/recurrent_value_model.hpp>

#include <vector>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/io/model_file.hpp>
#include <icrl/model/fingerprint.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradient.hpp"
#include "support/small_model.hpp"
#include "support/temporary_folder.hpp"
#include "support/transformer_schemes.hpp"

using namespace icrl;
using namespace icrl::test;

static_assert(Trainable<RecurrentValueModel<float>> && Streaming<RecurrentValueModel<float>> &&
              HasOutputCount<RecurrentValueModel<float>> && LoadableModel<RecurrentValueModel<float>>);

namespace {

constexpr RecurrentConfig valued_shape{
    .width = 6, .layer_count = 2, .state_size = 5, .hidden = 9, .longest_memory = 20};

template <typename S>
RecurrentValueModel<S> valued_model(const StepLayout& layout) {
  RecurrentValueModel<S> model{valued_shape, layout};
  Rng rng{3};
  randomise(model, rng);
  return model;
}

}  // namespace

TEST_CASE("An agent over a recurrent model with a value acts as without it, and tells the value", "[model]") {
  for (const StepLayout& layout : {id_layout(), box_layout()}) {
    const auto model = valued_model<float>(layout);
    const Index count = model.actions.parameter_count();
    RecurrentModel<float> plain{valued_shape, layout};
    plain.embedding = model.embedding;
    plain.blocks = model.blocks;
    plain.final_norm = model.final_norm;
    plain.head.weight = model.head.weight.leftCols(count);
    plain.head.bias = model.head.bias.head(count);
    InContextAgent agent{plain};
    InContextAgent with_value{model};
    Rng rng{3}, same{3};
    std::vector<float> action(static_cast<std::size_t>(layout.action_size())), same_action = action;
    std::vector<float> rows, values;
    StepStream stream{layout};

    for (const FakeStep& step : fake_life(layout, 40, 5, 4)) {
      agent.act(step.observation, action, rng);
      with_value.act(step.observation, same_action, same);
      REQUIRE(action == same_action);
      REQUIRE(with_value.outputs().size() == static_cast<std::size_t>(count) + 1);
      values.push_back(with_value.outputs().back());
      rows.resize(rows.size() + static_cast<std::size_t>(layout.feature_count()));
      stream.observe(step.observation, std::span{rows}.last(static_cast<std::size_t>(layout.feature_count())));
      stream.record(action, step.reward, step.is_last);
      const Transition transition{step.observation, action, step.reward, step.next_observation, false, step.is_last};
      agent.learn(transition);
      with_value.learn(transition);
    }

    RecurrentValueModel<float>::Cache cache;
    Matrix<float> outputs(40, model.output_count());
    model.forward(rows, 40, cache, outputs);
    for (Index t = 0; t < 40; ++t) CHECK(values[static_cast<std::size_t>(t)] == Approx(outputs(t, count)).margin(1e-4));
  }
}

TEST_CASE("The backward pass of a recurrent model with a value matches finite differences", "[model][gradient]") {
  const StepLayout layout = id_layout();
  auto model = valued_model<double>(layout);
  CHECK(RecurrentValueModel<double>::weight_count(valued_shape, layout) == parameter_count(model));
  Rng rng{5};
  const std::vector<float> rows = random_features(layout, 7, rng);
  const Matrix<double> doutputs = random_matrix(7, model.output_count(), rng);
  RecurrentValueModel<double>::Cache cache;
  Matrix<double> outputs(7, model.output_count());
  const auto loss = [&] {
    model.forward(rows, 7, cache, outputs);
    return outputs.cwiseProduct(doutputs).sum();
  };
  loss();
  auto grad = model;
  set_zero(grad);
  model.backward(rows, 7, doutputs, cache, grad);

  const auto [error, name] = worst_parameter_error(model, grad, loss);

  INFO("worst tensor: " << name);
  CHECK(error < 1e-8);
  CHECK(grad.head.weight.rightCols(1).norm() > 0);
}

TEST_CASE("A recurrent model with a value is saved and loaded as what it is", "[model]") {
  const TemporaryFolder folder;
  const auto model = valued_model<float>(id_layout());
  save_model(model, folder / "model.safetensors");

  CHECK(fingerprint(load_model<RecurrentValueModel<float>>(folder / "model.safetensors")) == fingerprint(model));
  CHECK(has(error_of([&] { (void)load_model<RecurrentModel<float>>(folder / "model.safetensors"); }),
            "value_gated_recurrence"));
}
