// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/run_pass.hpp>

#include <cmath>

#include "support/catch.hpp"
#include "support/small_run.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

using PassModel = CausalTransformer<float>;
using PassOfRun = detail::RunPass<PassModel, ActionCrossEntropy>;

/// A window's loss in such a pass, and its gradient.
struct PassResult {
  explicit PassResult(const PassModel& model) : gradient{model} { set_zero(gradient); }
  PassResult(const PassModel& model, const PassOfRun& pass, const ContextBatch& batch) : PassResult{model} {
    PassOfRun::Scratch scratch;
    loss = pass.loss(ActionCrossEntropy{}, batch, 0, Rng{6}, scratch, gradient);
  }

  PassModel gradient;
  double loss = 0;
};

}  // namespace

TEST_CASE("A run's pass is the model's own or the one in bfloat16, with the weights that it took last", "[train]") {
  const SmallRun run;
  PassModel model = run.model();
  ContextBatch batch;
  run.sampler.sample(1, Rng{2}, batch);
  PassOfRun full{model, {.products = Products::full}}, quick{model, {.products = Products::bfloat16}};
  full.pack();
  quick.pack();
  PassResult expected{model};
  WindowScratch<PassModel> scratch;
  expected.loss = window_loss(model, ActionCrossEntropy{}, batch, 0, scratch, expected.gradient);

  const PassResult own{model, full, batch}, rounded{model, quick, batch};

  CHECK(own.loss == expected.loss);
  CHECK(have_equal_bits(own.gradient, expected.gradient));
  CHECK(rounded.loss != expected.loss);
  CHECK(rounded.loss == Approx(expected.loss).epsilon(0.02));
  for (const auto& p : parameters_of(model))
    for (float& number : p.numbers()) number *= 0.5f;
  const double stale = PassResult{model, quick, batch}.loss;
  quick.pack();
  full.pack();
  const double fresh = PassResult{model, quick, batch}.loss, wanted = PassResult{model, full, batch}.loss;
  CHECK(fresh == Approx(wanted).epsilon(0.02));
  CHECK(std::abs(fresh - wanted) < std::abs(stale - wanted));
}

TEST_CASE("A run's pass with dropout has the masks that it is given", "[train]") {
  const SmallRun run;
  const PassModel model = run.model();
  ContextBatch batch;
  run.sampler.sample(1, Rng{2}, batch);
  const DropoutRates rates{.embedding = 0.1, .residual = 0.2, .attention = 0.3};
  const PassOfRun pass{model, {.dropout = rates, .products = Products::full}};
  const DropoutPass<PassModel> by_hand{model, rates};
  WindowScratch<DropoutPass<PassModel>> scratch;
  scratch.cache.masks = Rng{6};
  PassResult expected{model};
  expected.loss = window_loss(by_hand, ActionCrossEntropy{}, batch, 0, scratch, expected.gradient);

  const PassResult found{model, pass, batch};

  CHECK(found.loss == expected.loss);
  CHECK(have_equal_bits(found.gradient, expected.gradient));
  CHECK(found.loss != PassResult{model, PassOfRun{model, {.products = Products::full}}, batch}.loss);
}
