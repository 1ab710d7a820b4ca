// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/int8_embedding.hpp>

#include <cmath>

#include "support/catch.hpp"
#include "support/transformer_schemes.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("An int8 embedding makes the tokens of the float one, rounded", "[compress]") {
  for (const StepLayout& layout : {grid_layout(), number_layout()}) {
    for (const TokenScheme tokens : {TokenScheme::fused, TokenScheme::separate}) {
      Rng rng{1};
      StepEmbedding<float> embedding{{.width = 21, .tokens = tokens, .position_count = 9, .reward_scale = 0.5}, layout};
      embedding.initialize(1, rng);
      fill_normal(embedding.bias, 1, rng);
      const Int8Embedding quantized{embedding, layout};
      const std::vector<float> features = random_features(layout, 3, rng);
      const auto size = static_cast<std::size_t>(layout.feature_count());
      NoMemory none;
      for (std::size_t t = 0; t < 3; ++t) {
        for (int token = 0; token < embedding.config.tokens_per_step(); ++token) {
          RowVector<float> expected(21), found(21);
          embedding.step(std::span{features}.subspan(t * size, size), token, 4, none, expected.data());
          quantized.step(detail::ScalarInt8{}, features.data() + t * size, token, 4, found.data());
          // Up to nine rows, each within half a step of some 3 / 127.
          CHECK((found - expected).cwiseAbs().maxCoeff<Eigen::PropagateNaN>() < 0.08f);
          CHECK((found - expected).norm() < 0.02f * expected.norm());
        }
      }
    }
  }
}
