// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/bf16_attention.hpp>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("Attention in bfloat16 agrees with the layer that it is made of, also where heads do not fill the width",
          "[nn]") {
  struct Shape {
    Index tokens, width, heads, size;
  };
  for (const Shape& shape : {Shape{2, 8, 2, 4}, {33, 12, 2, 6}, {50, 10, 3, 4}, {97, 6, 1, 8}}) {
    CAPTURE(shape.tokens, shape.width, shape.heads);
    Rng rng{5};
    CausalAttention<float> layer{shape.width, shape.heads, shape.size};
    for (const auto& p : parameters_of(layer)) fill_normal(p.numbers(), 0.4, rng);
    const RotaryTable<float> rotary{shape.tokens, shape.size};
    Matrix<float> x(shape.tokens, shape.width), dy(shape.tokens, shape.width);
    fill_normal(x, 1, rng);
    fill_normal(dy, 1, rng);
    Matrix<float> expected = Matrix<float>::Zero(shape.tokens, shape.width), found = expected, expected_dx = expected,
                  found_dx = expected;
    CausalAttention<float> expected_grad = layer, found_grad = layer;
    set_zero(expected_grad);
    set_zero(found_grad);
    CausalAttention<float>::Cache cache;
    CausalAttention<float>::Scratch scratch;
    layer.add_forward(x, rotary, cache, scratch, expected);
    layer.backward(x, dy, rotary, cache, scratch, expected_grad, expected_dx);

    Bf16Attention bf16{layer};
    Bf16Linear::PackScratch packing;
    bf16.pack(packing);
    Bf16Attention::Cache bf16_cache;
    Bf16Attention::Scratch bf16_scratch;
    bf16.reserve(shape.tokens, bf16_cache, bf16_scratch);
    detail::for_each_row_block(shape.tokens, [&](Index first, Index count) {
      round_both(x.middleRows(first, count), first, bf16_scratch.rows, bf16_cache.x_pairs);
      bf16.take_input(rotary, first, count, bf16_cache, bf16_scratch);
    });
    bf16.add_forward(bf16_cache, bf16_scratch, found);
    bf16.begin_backward(dy, bf16_cache, bf16_scratch, found_grad);
    detail::for_each_row_block(shape.tokens, [&](Index first, Index count) {
      bf16.backward(rotary, first, count, bf16_scratch, found_grad);
      found_dx.middleRows(first, count) = bf16_scratch.dx.topRows(count);
    });
    Bf16Attention::end_backward(shape.tokens, bf16_cache, bf16_scratch, found_grad);

    CHECK((found - expected).norm() < 0.03f * expected.norm());
    CHECK((found_dx - expected_dx).norm() < 0.03f * expected_dx.norm());
    CHECK((found_grad.output.weight - expected_grad.output.weight).norm() < 0.03f * expected_grad.output.weight.norm());
    CHECK((found_grad.qkv.weight - expected_grad.qkv.weight).norm() < 0.03f * expected_grad.qkv.weight.norm());
  }
}

TEST_CASE("Attention in bfloat16 takes heads of an even size", "[nn]") {
  CHECK(Bf16Attention::can_be(2));
  CHECK_FALSE(Bf16Attention::can_be(7));
}
