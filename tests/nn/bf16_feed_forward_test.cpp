// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/bf16_feed_forward.hpp>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("A feed-forward layer in bfloat16 agrees with the layer that it is made of", "[nn]") {
  for (const Index tokens : {1, 2, 47, 49, 97}) {
    CAPTURE(tokens);
    constexpr Index width = 12, hidden = 20;
    Rng rng{5};
    FeedForward<float> layer{width, hidden};
    for (const auto& p : parameters_of(layer)) fill_normal(p.numbers(), 0.3, rng);
    Matrix<float> x(tokens, width), dy(tokens, width);
    fill_normal(x, 1, rng);
    fill_normal(dy, 1, rng);
    Matrix<float> expected = Matrix<float>::Ones(tokens, width), found = expected, expected_dx(tokens, width),
                  found_dx(tokens, width);
    FeedForward<float> expected_grad = layer, found_grad = layer;
    set_zero(expected_grad);
    set_zero(found_grad);
    FeedForward<float>::Cache cache;
    FeedForward<float>::Scratch scratch;
    layer.add_forward(x, cache, scratch, expected);
    layer.backward(x, dy, cache, scratch, expected_grad, expected_dx);

    Bf16FeedForward bf16{layer};
    Bf16Linear::PackScratch packing;
    bf16.pack(packing);
    Bf16FeedForward::Cache bf16_cache;
    Bf16FeedForward::Scratch bf16_scratch;
    bf16.reserve(tokens, bf16_cache, bf16_scratch);
    detail::for_each_row_block(tokens, [&](Index first, Index count) {
      round_both(x.middleRows(first, count), first, bf16_scratch.rows, bf16_cache.x_pairs);
      bf16.add_forward(first, bf16_cache, bf16_scratch, found.middleRows(first, count));
    });
    Bf16FeedForward::begin_backward(dy, found_grad);
    detail::for_each_row_block(tokens, [&](Index first, Index count) {
      bf16.backward(dy.middleRows(first, count), first, bf16_cache, bf16_scratch, found_grad);
      found_dx.middleRows(first, count) = bf16_scratch.dx.topRows(count);
    });
    Bf16FeedForward::end_backward(tokens, bf16_cache, bf16_scratch, found_grad);

    CHECK((found - expected).norm() < 0.02f * expected.norm());
    CHECK((found_dx - expected_dx).norm() < 0.02f * expected_dx.norm());
    const auto a = parameters_of(found_grad), b = parameters_of(expected_grad);
    for (std::size_t i = 0; i < a.size(); ++i) {
      CAPTURE(a[i].name);
      CHECK((a[i].map() - b[i].map()).norm() < 0.02f * b[i].map().norm());
    }
  }
}
