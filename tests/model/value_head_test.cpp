// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/value_head.hpp>

#include <vector>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/io/model_file.hpp>
#include <icrl/model/fingerprint.hpp>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_model.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

using Values = CausalTransformer<float, ValueParts<float>>;
using TwoValues = CausalTransformer<float, ValueParts<float, DenseParts<float>, 2>>;
static_assert(Streaming<Values> && Trainable<Values> && HasOutputCount<Values> && LoadableModel<Values>);
static_assert(Values::kind == "value_causal_transformer");

/// A model that says the same of actions as `plain`, and something more.
Values with_values(const CausalTransformer<float>& plain) {
  Values model{plain.config, plain.layout};
  model.embedding = plain.embedding;
  model.blocks = plain.blocks;
  model.final_norm = plain.final_norm;
  const Index count = plain.head.output_size();
  model.head.weight.leftCols(count) = plain.head.weight;
  model.head.weight.col(count).setConstant(0.25f);
  model.head.bias.head(count) = plain.head.bias;
  model.head.bias[count] = -1;
  return model;
}

/// Lets both act in the same made-up life and calls check(plain agent, other agent) after each action.
template <typename A, typename B, typename Check>
void act_together(A& plain, B& other, const StepLayout& layout, int steps, Check&& check) {
  Rng rng{3}, same{3};
  std::vector<float> action(static_cast<std::size_t>(layout.action_size())), same_action = action;
  for (const FakeStep& step : fake_life(layout, steps, 5, 4)) {
    plain.act(step.observation, action, rng);
    other.act(step.observation, same_action, same);
    REQUIRE(action == same_action);
    check();
    const Transition transition{step.observation, action, step.reward, step.next_observation, false, step.is_last};
    plain.learn(transition);
    other.learn(transition);
  }
}

}  // namespace

TEST_CASE("An agent over a model with a value acts as without it, and tells the value", "[model]") {
  for (const StepLayout& layout : {id_layout(true), box_layout()}) {
    const auto plain = small_model<float>(small_config(12), layout);
    const Values model = with_values(plain);
    InContextAgent agent{plain};
    InContextAgent with_value{model};
    const auto count = static_cast<std::size_t>(plain.actions.parameter_count());
    bool values_differ = false;
    float last = 0;

    act_together(agent, with_value, layout, 60, [&] {
      REQUIRE(with_value.outputs().size() == count + 1);
      for (std::size_t i = 0; i < count; ++i) REQUIRE(with_value.outputs()[i] == Approx(agent.outputs()[i]));
      values_differ = values_differ || with_value.outputs().back() != last;
      last = with_value.outputs().back();
    });

    CHECK(values_differ);
  }
}

TEST_CASE("The streamed outputs are those of the forward pass, the value among them", "[model]") {
  const StepLayout layout = id_layout();
  const Values model = with_values(small_model<float>(small_config(6), layout));
  const auto life = fake_life(layout, 6, 6, 2);
  const auto size = static_cast<std::size_t>(layout.feature_count());
  std::vector<float> rows(6 * size);
  for (std::size_t t = 0; t < 6; ++t)
    layout.write(std::span{rows}.subspan(t * size, size), life[t].observation, life[t].action, life[t].reward,
                 t == 0 ? 3 : 0);
  Values::Cache cache;
  Matrix<float> whole(6, model.output_count()), one(1, model.output_count());
  model.forward(rows, 6, cache, whole);
  Values::State state = model.make_state();
  Values::StreamWorkspace workspace;
  model.reserve(workspace, 1);
  const AllocationCount allocations;

  for (Index t = 0; t < 6; ++t) {
    const StreamInput<Values::State> input{&state, rows.data() + t * static_cast<Index>(size)};
    model.step({&input, 1}, workspace, one);
    REQUIRE((one - whole.row(t)).norm() < 1e-5f * whole.row(t).norm());
  }
  CHECK(allocations.count() == 0);
}

TEST_CASE("Files and descriptions tell models with values from others", "[model]") {
  const auto plain = small_model<float>(small_config(6), id_layout());
  const Values model = with_values(plain);
  const TemporaryFolder folder;
  save_model(model, folder / "values");
  save_model(plain, folder / "plain");

  CHECK(weights_of(load_model<Values>(folder / "values")) == weights_of(model));
  CHECK(Values::weight_count(model.config, model.layout) == parameter_count(model));
  CHECK(has(error_of([&] { (void)load_model<float>(folder / "values"); }),
            "holds a value_causal_transformer, not a causal_transformer"));
  CHECK(has(error_of([&] { (void)load_model<Values>(folder / "plain"); }),
            "holds a causal_transformer, not a value_causal_transformer"));
  CHECK(has(error_of([&] { (void)load_model<TwoValues>(folder / "values"); }),
            "head.weight is 16x4, the configuration needs 16x5"));
  CHECK(describe(model) == "value_causal_transformer, " + describe(plain) + ", 4 outputs");
}
