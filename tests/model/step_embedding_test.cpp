// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/step_embedding.hpp>

#include <vector>

#include "support/catch.hpp"
#include "support/gradient.hpp"

using namespace icrl;
using namespace icrl::test;

static_assert(TrainableStepEncoder<StepEmbedding<float>>);

namespace {

StepLayout mixed_layout() { return {.observation_space = MultiDiscrete{{3, 2}}, .action_space = Box{{-1}, {1}}}; }

/// observation (2, 1), action 0.5, reward 3, flag 1; then observation (0, 0), action -1, reward 2, flag 0.
const std::vector<float> two_rows{2, 1, 0.5f, 3, 1, 0, 0, -1, 2, 0};

StepEmbedding<double> random_embedding(const StepEmbeddingConfig& config) {
  StepEmbedding<double> embedding{config, mixed_layout()};
  Rng rng{3};
  randomise(embedding, rng);
  CHECK(StepEmbedding<double>::weight_count(config, mixed_layout()) == parameter_count(embedding));
  return embedding;
}

}  // namespace

TEST_CASE("A fused token is the sum of a step's parts", "[model]") {
  const StepEmbeddingConfig config{.width = 4, .position_count = 5, .reward_scale = 0.5};
  const auto embedding = random_embedding(config);
  Matrix<double> tokens(2, 4);
  NoMemory none;
  embedding.forward(two_rows, 2, none, tokens);
  const RowVector<double> expected = embedding.bias + embedding.positions.row(0) +
                                     embedding.observation_tables[0].row(2) + embedding.observation_tables[1].row(1) +
                                     0.5 * embedding.action_maps[0].row(0) + 1.5 * embedding.reward +
                                     embedding.flags.row(1);
  CHECK((tokens.row(0) - expected).norm() < 1e-14);
}

TEST_CASE("Separate tokens carry action, reward and observation in this order", "[model]") {
  const auto embedding = random_embedding({.width = 4, .tokens = TokenScheme::separate});
  CHECK(embedding.config.tokens_per_step() == 3);
  Matrix<double> tokens(6, 4);
  NoMemory none;
  embedding.forward(two_rows, 2, none, tokens);
  CHECK((tokens.row(3) - (embedding.bias - embedding.action_maps[0].row(0))).norm() < 1e-14);
  CHECK((tokens.row(4) - (embedding.bias + 2 * embedding.reward)).norm() < 1e-14);
  CHECK((tokens.row(5) - (embedding.bias + embedding.observation_tables[0].row(0) +
                          embedding.observation_tables[1].row(0) + embedding.flags.row(0)))
            .norm() < 1e-14);
}

TEST_CASE("A step at a time gives the tokens of the window", "[model]") {
  for (const TokenScheme scheme : {TokenScheme::fused, TokenScheme::separate}) {
    const auto embedding = random_embedding({.width = 4, .tokens = scheme, .position_count = 6});
    const int each = embedding.config.tokens_per_step();
    Matrix<double> tokens(2 * each, 4), one(1, 4);
    NoMemory none;
    embedding.forward(two_rows, 2, none, tokens);
    for (int t = 0; t < 2; ++t) {
      for (int token = 0; token < each; ++token) {
        embedding.step(std::span{two_rows}.subspan(static_cast<std::size_t>(5 * t), 5), token, Index{t * each + token},
                       none, one.data());
        CHECK(one.row(0) == tokens.row(t * each + token));
      }
    }
  }
}

TEST_CASE("StepEmbedding backward matches finite differences", "[model][gradient]") {
  for (const TokenScheme scheme : {TokenScheme::fused, TokenScheme::separate}) {
    auto embedding = random_embedding({.width = 4, .tokens = scheme, .position_count = 6, .reward_scale = 0.5});
    const Index count = 2 * embedding.config.tokens_per_step();
    Rng rng{4};
    const Matrix<double> dtokens = random_matrix(count, 4, rng);
    auto grad = embedding;
    set_zero(grad);
    NoMemory none;
    embedding.backward(two_rows, 2, dtokens, none, grad);
    const auto loss = [&] {
      Matrix<double> tokens(count, 4);
      embedding.forward(two_rows, 2, none, tokens);
      return tokens.cwiseProduct(dtokens).sum();
    };
    const auto [error, name] = worst_parameter_error(embedding, grad, loss);
    INFO("worst tensor: " << name);
    CHECK(error < 1e-8);
  }
}
