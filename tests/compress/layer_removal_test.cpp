// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/layer_removal.hpp>

#include <vector>

#include "support/catch.hpp"
#include "support/small_run.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// Lets a layer add nothing to the residual stream, or less.
void weaken(Block<float>& block, float factor) {
  block.attention.output.weight *= factor;
  block.attention.output.bias *= factor;
  block.feed_forward.down.weight *= factor;
  block.feed_forward.down.bias *= factor;
}

struct Run {
  SmallRun run{{.width = 16, .layer_count = 4, .head_count = 2, .hidden = 32, .context = 8}};
  CausalTransformer<float> model = run.model();
  ContextBatch batch;
  Run() { run.sampler.sample(6, Rng{3}, batch); }
};

}  // namespace

TEST_CASE("Layers that add least go first", "[compress]") {
  Run run;
  weaken(run.model.blocks[2], 0);
  weaken(run.model.blocks[0], 0.01F);

  CHECK(keep_layers(run.model, run.batch, 4).layers == std::vector{0, 1, 2, 3});
  CHECK(keep_layers(run.model, run.batch, 3).layers == std::vector{0, 1, 3});
  CHECK(keep_layers(run.model, run.batch, 2).layers == std::vector{1, 3});
}

TEST_CASE("The layer that goes is the one without which outputs change least", "[compress]") {
  const Run run;

  const KeptParts kept = keep_layers(run.model, run.batch, 3);

  const double chosen = window_divergence(run.model, smaller_model(run.model, kept), run.batch);
  for (int layer = 0; layer < 4; ++layer) {
    KeptParts rest = all_parts(run.model.config);
    std::erase(rest.layers, layer);
    CHECK(chosen <= window_divergence(run.model, smaller_model(run.model, rest), run.batch));
  }
  CHECK(kept.heads == all_parts(run.model.config).heads);
  CHECK(kept.neurons == all_parts(run.model.config).neurons);
}

TEST_CASE("A number of layers that the model does not have is refused", "[compress]") {
  const Run run;

  CHECK_THROWS_WITH(keep_layers(run.model, run.batch, 5), ContainsSubstring("is 5, it must lie in 1 .. 4"));
  CHECK_THROWS_WITH(keep_layers(run.model, run.batch, 0), ContainsSubstring("is 0, it must lie in 1 .. 4"));
}
