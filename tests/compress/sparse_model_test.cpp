// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/sparse_model.hpp>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/agent/in_context_agents.hpp>
#include <icrl/compress/pruning.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_model.hpp"
#include "support/transformer_schemes.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

static_assert(Streaming<SparseTransformer<BlockSparseLinear>> && !Trainable<SparseTransformer<BlockSparseLinear>>);
static_assert(Streaming<SparseTransformer<TwoFourLinear>> && !Trainable<SparseTransformer<TwoFourLinear>>);

/// What the model says over a window of random rows, step by step, in two streams at once.
template <typename M>
Matrix<float> streamed_outputs(const M& model) {
  Rng rng{2};
  const int steps = model.config.context;
  const auto size = static_cast<std::size_t>(model.layout.feature_count());
  const std::vector<float> features = random_features(model.layout, steps, rng),
                           others = random_features(model.layout, steps, rng);
  auto states = model.make_states(2);
  typename M::StreamWorkspace workspace;
  Matrix<float> outputs(2 * steps, model.actions.parameter_count());
  for (int t = 0; t < steps; ++t) {
    const auto from = static_cast<std::size_t>(t) * size;
    const StreamInput<typename M::State> inputs[] = {{&states[0], features.data() + from, true},
                                                     {&states[1], others.data() + from, true}};
    model.step(inputs, workspace, outputs.middleRows(2 * t, 2));
  }
  return outputs;
}

}  // namespace

TEST_CASE("A sparse model says exactly what the pruned dense model says", "[compress]") {
  for (const TransformerConfig& config : all_schemes(7)) {
    auto model = small_model(config, grid_layout());
    (void)prune(model, {.sparsity = 0.5, .scope = PruneScope::group, .group = 4});
    CHECK(streamed_outputs(sparse_model<TwoFourLinear>(model)) == streamed_outputs(model));

    auto blocks = small_model(config, grid_layout());
    (void)prune(blocks, {.sparsity = 0.75, .scope = PruneScope::output, .block_outputs = 16});
    CHECK(streamed_outputs(sparse_model<BlockSparseLinear>(blocks)) == streamed_outputs(blocks));
    CHECK(streamed_outputs(blocks) != streamed_outputs(model));
  }
}

TEST_CASE("An agent acts with a sparse model as with the dense one", "[compress]") {
  auto model = small_model(small_config(12), id_layout());
  (void)prune(model, {.sparsity = 0.5, .scope = PruneScope::group, .group = 4});
  const auto sparse = sparse_model<TwoFourLinear>(model);
  InContextAgent dense_agent{model};
  InContextAgent sparse_agent{sparse};
  Rng rng{1}, same{1};
  const std::vector<float> observation{1, 2};
  std::vector<float> action(1), other(1);
  for (int t = 0; t < 40; ++t) {
    dense_agent.act(observation, action, rng);
    sparse_agent.act(observation, other, same);
    REQUIRE(action == other);
    dense_agent.learn({observation, action, 0.5f, observation, t % 3 == 2, false});
    sparse_agent.learn({observation, action, 0.5f, observation, t % 3 == 2, false});
  }
}

TEST_CASE("A model that is not sparse in this way is refused by the map's name", "[compress]") {
  auto model = small_model(small_config(4), id_layout());
  const auto error = error_of([&] { (void)sparse_model<TwoFourLinear>(model); });
  CHECK(error ==
        "blocks.0.attention.qkv: 2:4 sparse linear map: more than two of the weights 0 .. 3 of output 0 are not "
        "zero (prune 2:4 first)");
}
