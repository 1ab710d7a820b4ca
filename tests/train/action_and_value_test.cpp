// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/action_and_value.hpp>

#include <cmath>
#include <vector>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/model/image_step_encoder.hpp>
#include <icrl/model/value_head.hpp>
#include <icrl/train/distil.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradient.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

using ValueModel = CausalTransformer<double, ValueParts<double>>;
static_assert(Objective<ActionAndValue, ValueModel>);

template <typename M>
M random_model(const SmallRun& run) {
  M model{run.shape, run.layout};
  Rng rng{3};
  for (const auto& p : parameters_of(model))
    for (auto& number : p.numbers()) number += static_cast<typename M::Scalar>(0.3 * rng.normal());
  return model;
}

ContextBatch one_window(const SmallRun& run) {
  ContextBatch batch;
  run.sampler.sample(1, Rng{2}, batch);
  return batch;
}

/// A window of rows of an id layout: reward of the step before, flags.
ContextBatch window_of(const StepLayout& layout, const std::vector<std::pair<float, int>>& rows) {
  ContextBatch batch;
  batch.resize(1, 8, layout);
  const auto size = static_cast<std::size_t>(layout.feature_count());
  for (std::size_t t = 0; t < rows.size(); ++t) {
    const auto row = batch.features_of(0).subspan(t * size, size);
    layout.write(row, std::vector<float>{0, 0}, std::vector<float>{1}, rows[t].first, rows[t].second);
  }
  batch.lengths[0] = static_cast<int>(rows.size());
  return batch;
}

}  // namespace

TEST_CASE("The return of a row is what its episode still earns, as far as the window tells, by hand", "[train]") {
  constexpr int start = StepFlag::episode_start, first = start | StepFlag::no_previous, closing = StepFlag::closing;
  std::vector<double> returns;

  // Two steps that earn 1 and 2, then two that earn 4 and something beyond the window.
  detail::returns_of(window_of(id_layout(), {{0, first}, {1, 0}, {2, start}, {4, 0}}), 0, 0.5, returns);
  CHECK(returns[0] == 1 + 0.5 * 2);
  CHECK(returns[1] == 2);
  for (std::size_t t = 2; t < 8; ++t) CHECK(std::isnan(returns[t]));

  // The same with closing rows.
  detail::returns_of(window_of(id_layout(true), {{0, first}, {1, 0}, {2, closing}, {0, first}, {8, closing}}), 0, 0.5,
                     returns);
  CHECK(returns[0] == 2);
  CHECK(returns[1] == 2);
  CHECK(std::isnan(returns[2]));
  CHECK(returns[3] == 8);
  CHECK(std::isnan(returns[4]));

  // Without discounted futures the reward alone counts, and is known for all but the last row.
  detail::returns_of(window_of(id_layout(), {{0, first}, {1, 0}, {2, start}, {4, 0}}), 0, 0, returns);
  CHECK(returns[2] == 4);
  CHECK(std::isnan(returns[3]));
}

TEST_CASE("The gradient of actions and values matches finite differences", "[train][gradient]") {
  for (const bool closing_token : {false, true}) {
    const SmallRun run{small_config(8), id_layout(closing_token)};
    auto model = random_model<ValueModel>(run);
    const ContextBatch batch = one_window(run);
    const ActionAndValue objective{.value_weight = 0.7, .discount = 0.9, .label_smoothing = 0.1};
    WindowScratch<ValueModel, ActionAndValue> scratch;
    ValueModel grad = model;
    set_zero(grad);
    ValueModel unused = grad;
    const double loss = window_loss(model, objective, batch, 0, scratch, grad);

    const auto [error, name] =
        worst_parameter_error(model, grad, [&] { return window_loss(model, objective, batch, 0, scratch, unused); });

    INFO("worst tensor: " << name);
    CHECK(error < 1e-6);
    CHECK(grad.head.weight.col(3).norm() > 0);
    WindowScratch<ValueModel> actions_scratch;
    CHECK(window_loss(model, ActionCrossEntropy{0.1}, batch, 0, actions_scratch, unused) < loss);
  }
}

TEST_CASE("The objective of actions alone leaves values alone", "[train]") {
  const SmallRun run;
  const auto model = random_model<ValueModel>(run);
  const ContextBatch batch = one_window(run);
  WindowScratch<ValueModel> scratch;
  scratch.doutputs = Matrix<double>::Constant(8, 4, 99);
  ValueModel grad = model;
  set_zero(grad);

  CHECK(window_loss(model, ActionCrossEntropy{}, batch, 0, scratch, grad) > 0);

  CHECK(grad.head.weight.col(3).isZero(0));
  CHECK(grad.head.bias[3] == 0);
  CHECK(grad.head.weight.col(0).norm() > 0);
}

TEST_CASE("A model learns values beside actions, also of images, and acts", "[train]") {
  const StepLayout pictures{.observation_space = image_box(3, 3, 1), .action_space = Discrete{3}};
  const auto check = [](auto&& model, const SmallRun& run) {
    using M = std::remove_cvref_t<decltype(model)>;
    const ActionAndValue objective{.value_weight = 4, .discount = 0.9};
    Rng rng{1};
    model.initialize(rng);
    ContextBatch batch;
    run.sampler.sample(16, Rng{5}, batch);
    const auto value_error = [&] {
      WindowScratch<M, ActionAndValue> all;
      WindowScratch<M> actions;
      M unused = model;
      double error = 0;
      for (int b = 0; b < 16; ++b)
        error += window_loss(model, objective, batch, b, all, unused) -
                 window_loss(model, ActionCrossEntropy{}, batch, b, actions, unused);
      return error;
    };
    const double before = value_error();
    struct Nobody {};
    DistilConfig config = small_distil(80);
    config.learning_rate = 0.01;
    (void)distil(model, run.sampler, config, Nobody{}, objective);

    CHECK(value_error() < 0.6 * before);
    InContextAgent agent{model};
    std::vector<float> action(1);
    agent.act(fake_life(run.layout, 1, 1, 1)[0].observation, action, rng);
    CHECK(agent.outputs().size() == 4);
  };
  const SmallRun ids, images{small_config(8), pictures};
  check(CausalTransformer<float, ValueParts<float>>{ids.shape, ids.layout}, ids);
  check(CausalTransformer<float, ValueParts<float, ImageParts<float>>>{images.shape, images.layout}, images);
}

TEST_CASE("An objective that makes no sense, or a model without a value, is refused", "[train]") {
  const SmallRun run;
  auto model = random_model<ValueModel>(run);
  auto plain = run.model<double>();
  struct Nobody {};
  const auto error = [&](auto& trained, const ActionAndValue& objective, double smoothing = 0) {
    DistilConfig config = small_distil(2);
    config.label_smoothing = smoothing;
    return error_of([&] { (void)distil(trained, run.sampler, config, Nobody{}, objective); });
  };

  CHECK(error(model, {}).empty());
  CHECK(error(model, {.discount = 1.5}) == "action and value: discount is 1.5, it must lie in 0 .. 1");
  CHECK(error(model, {.value_weight = -1}) == "action and value: value_weight is -1, it must be finite and at least 0");
  CHECK(has(error(model, {.label_smoothing = 0.1}), "label_smoothing is 0, but the objective has 0.1"));
  CHECK(error(model, {.label_smoothing = 0.1}, 0.1).empty());
  CHECK(error(plain, {}) ==
        "action and value: the model has 3 outputs, all for actions; it needs one for the value (use a ValueHead)");
}

TEST_CASE("A checkpoint of values belongs to its objective", "[train]") {
  const SmallRun run;
  auto model = random_model<ValueModel>(run);
  const TemporaryFolder folder;
  DistilConfig config = small_distil(2);
  config.checkpoint = folder / "checkpoint";
  config.checkpoint_every = 2;
  struct Nobody {};
  (void)distil(model, run.sampler, config, Nobody{}, ActionAndValue{.discount = 0.9});

  CHECK(has(error_of([&] { (void)distil(model, run.sampler, config, Nobody{}, ActionAndValue{.discount = 0.8}); }),
            "discount 0.9"));
}
