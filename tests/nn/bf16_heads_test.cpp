// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/bf16_heads.hpp>

#include <cmath>
#include <vector>

#include <icrl/core/rng.hpp>

#include "support/catch.hpp"
#include "support/plain_bfloat16.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("Heads in bfloat16 mix values by softmax of the scores before them", "[nn]") {
  constexpr Index heads_count = 2, size = 4, width = heads_count * size;
  for (const Index tokens : {1, 2, 17, 40}) {
    CAPTURE(tokens);
    Rng rng{9};
    Matrix<float> qkv(tokens, 3 * width);
    for (Index i = 0; i < qkv.size(); ++i) qkv.data()[i] = static_cast<float>(rng.normal());
    const Bf16Heads heads{width, heads_count};
    Bf16Heads::Cache cache;
    Bf16Heads::Scratch scratch;
    Buffer<Bf16Pair> mixed;
    heads.reserve(tokens, cache, scratch);
    heads.take_input(qkv, 0, cache, scratch);
    heads.forward(tokens, cache, scratch, mixed);

    const auto number = [&](Index t, Index c) { return plainly_rounded(static_cast<double>(qkv(t, c))); };
    for (Index t = 0; t < tokens; ++t) {
      for (Index h = 0; h < heads_count; ++h) {
        std::vector<double> weights;
        double sum = 0;
        for (Index s = 0; s <= t; ++s) {
          double score = 0;
          for (Index i = 0; i < size; ++i) score += number(t, h * size + i) * number(s, width + h * size + i);
          weights.push_back(std::exp(score / std::sqrt(static_cast<double>(size))));
          sum += weights.back();
        }
        for (Index i = 0; i < size; ++i) {
          double expected = 0;
          for (Index s = 0; s <= t; ++s)
            expected += weights[static_cast<std::size_t>(s)] / sum * number(s, 2 * width + h * size + i);
          const Bf16Pair pair = mixed(t, (h * size + i) / 2);
          const double found = i % 2 == 0 ? first_of_pair(pair) : second_of_pair(pair);
          CHECK(std::abs(found - expected) < 0.02 * (1 + std::abs(expected)));
        }
      }
    }
  }
}
