// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/window_divergence.hpp>

#include <algorithm>
#include <cmath>

#include "support/catch.hpp"
#include "support/small_run.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

ContextBatch divergence_windows(const SmallRun& run) {
  ContextBatch batch;
  run.sampler.sample(5, Rng{3}, batch);
  return batch;
}

}  // namespace

TEST_CASE("A model does not diverge from itself", "[compress]") {
  const SmallRun run;
  const auto model = run.model();

  CHECK(window_divergence(model, model, divergence_windows(run)) == 0);
}

TEST_CASE("The divergence of models that always say the same, by hand", "[compress]") {
  const SmallRun run;
  CausalTransformer<float> reference{run.shape, run.layout}, other{run.shape, run.layout};
  const Index ids = other.head.bias.size();
  other.head.bias(0) = 1;  // e times as likely as each other id, of which the reference takes all equally

  const double found = window_divergence(reference, other, divergence_windows(run));

  const auto n = static_cast<double>(ids);
  CHECK(found == Approx(std::log((n - 1 + std::exp(1.0)) / n) - 1 / n).epsilon(1e-6));
}

TEST_CASE("Steps without a label have no part in the divergence", "[compress]") {
  const SmallRun run;
  const auto reference = run.model();
  CausalTransformer<float> other{run.shape, run.layout};
  ContextBatch batch = divergence_windows(run);
  const double all = window_divergence(reference, other, batch);
  std::fill(batch.weights.begin() + batch.context, batch.weights.end(), 0.0f);

  CHECK(window_divergence(reference, other, batch) != all);

  std::fill(batch.weights.begin(), batch.weights.end(), 0.0f);
  CHECK_THROWS_WITH(window_divergence(reference, other, batch), ContainsSubstring("no step of 5 windows has a label"));
}
