// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/bf16_block.hpp>

#include <limits>
#include <string>

#include <icrl/core/rng.hpp>

#include "support/catch.hpp"

using namespace icrl;

namespace {

/// |a - b| / |b|, in Frobenius norms.
template <typename Tensor>
double relative_distance(const Tensor& a, const Tensor& b) {
  return static_cast<double>((a - b).norm()) / static_cast<double>(b.norm());
}

struct Pass {
  Matrix<float> y, dx;
  Block<float> grad;
};

/// By the block itself or its pass in bfloat16.
template <typename B>
Pass run(const B& pass_block, const Block<float>& block, const Matrix<float>& x, const Matrix<float>& dy,
         const RotaryTable<float>& rotary = {}) {
  Pass pass{x, dy, block};
  set_zero(pass.grad);
  typename B::Cache cache;
  typename B::Scratch scratch, fresh;
  pass_block.forward(rotary, cache, scratch, pass.y);
  pass_block.backward(rotary, cache, fresh, pass.grad, pass.dx);
  return pass;
}

Bf16Block packed(const Block<float>& block) {
  Bf16Block pass{block};
  Bf16Linear::PackScratch scratch;
  pass.pack(scratch);
  return pass;
}

/// A block of width 32 with weights that matter, and as many tokens.
struct Example {
  Rng rng;
  Block<float> block{32, 64, 2};
  Matrix<float> x;

  Example(std::uint64_t seed, Index tokens) : rng{seed}, x(tokens, 32) {
    for_each_parameter([&](std::string_view, auto& tensor) { fill_normal(tensor, 0.2, rng); }, block);
    fill_normal(x, 1.0, rng);
  }
};

}  // namespace

TEST_CASE("A pass in bfloat16 agrees with one in float to bfloat16's precision, derivatives included", "[nn]") {
  struct Shape {
    Index width, hidden, heads, tokens;
    bool turned;
  };
  for (const Shape& shape : {Shape{64, 256, 4, 80, false},
                             {64, 256, 4, 35, true},
                             {32, 64, 2, 85, true},
                             {12, 20, 2, 21, true},
                             {6, 7, 3, 1, false},
                             {40, 80, 20, 35, true},
                             {36, 50, 1, 50, false}}) {
    CAPTURE(shape.width, shape.tokens);
    Rng rng{7};
    Block<float> block{shape.width, shape.hidden, shape.heads};
    const double stddev = 1.0 / std::sqrt(static_cast<double>(shape.width));
    for_each_parameter(
        [&](std::string_view, auto& tensor) {
          for (Index i = 0; i < tensor.size(); ++i) tensor.data()[i] += static_cast<float>(stddev * rng.normal());
        },
        block);
    Matrix<float> x(shape.tokens, shape.width), dy(shape.tokens, shape.width);
    fill_normal(x, 1, rng);
    fill_normal(dy, 1, rng);
    const RotaryTable<float> rotary =
        shape.turned ? RotaryTable<float>{shape.tokens, shape.width / shape.heads} : RotaryTable<float>{};

    const Pass full = run(block, block, x, dy, rotary), quick = run(packed(block), block, x, dy, rotary);

    constexpr double bound = 0.02;  // a few roundings of 2^-9
    CHECK(relative_distance(quick.y, full.y) < bound);
    CHECK(relative_distance(quick.y, full.y) > 0);
    CHECK(relative_distance(quick.dx, full.dx) < bound);
    for_each_parameter(
        [&](std::string_view name, const auto& found, const auto& expected) {
          CAPTURE(std::string{name});
          // With one token, its attention is certain and no key or query has a derivative; nor has a key's bias.
          if (name == "attention.qkv.bias" || name == "attention.qkv.weight") {
            const Index from = shape.tokens == 1 || name == "attention.qkv.bias" ? 2 * shape.width : 0;
            CHECK(relative_distance(Matrix<float>(found.rightCols(3 * shape.width - from)),
                                    Matrix<float>(expected.rightCols(3 * shape.width - from))) < bound);
          } else {
            CHECK(relative_distance(found, expected) < bound);
          }
        },
        quick.grad, full.grad);
  }
}

TEST_CASE("What an earlier, longer pass left behind does not show in one in bfloat16", "[nn]") {
  const Example example{5, 77};
  const auto& block = example.block;
  const Bf16Block bf16 = packed(block);
  const Matrix<float>& x = example.x;
  const Pass expected = run(bf16, block, x, x);

  Bf16Block::Cache cache;
  Bf16Block::Scratch scratch;
  Block<float> grad = block;
  Matrix<float> spoiled = Matrix<float>::Constant(130, 32, std::numeric_limits<float>::quiet_NaN()),
                derivative = spoiled;
  bf16.forward({}, cache, scratch, spoiled);
  bf16.backward({}, cache, scratch, grad, derivative);
  Pass found{x, x, block};
  set_zero(found.grad);
  bf16.forward({}, cache, scratch, found.y);
  bf16.backward({}, cache, scratch, found.grad, found.dx);

  CHECK(found.y == expected.y);
  CHECK(found.dx == expected.dx);
  for_each_parameter([](std::string_view, const auto& a, const auto& b) { CHECK(a == b); }, found.grad, expected.grad);
}

TEST_CASE("In bfloat16, too, a token's output does not depend on later tokens", "[nn]") {
  const Example example{3, 40};
  const Bf16Block bf16 = packed(example.block);
  const Matrix<float>& x = example.x;
  Matrix<float> other = x;
  other.bottomRows(20).setConstant(100);

  const Matrix<float> before = run(bf16, example.block, x, x).y, after = run(bf16, example.block, other, x).y;

  CHECK(before.topRows(20) == after.topRows(20));
  CHECK(before.bottomRows(20) != after.bottomRows(20));
}

TEST_CASE("Attention that is certain has no derivative in bfloat16 either", "[nn]") {
  Example example{5, 40};
  example.block.attention.qkv.weight.leftCols(64) *= 1000;  // queries and keys
  Matrix<float> dy(40, 32);
  fill_normal(dy, 1, example.rng);
  const Pass full = run(example.block, example.block, example.x, dy),
             quick = run(packed(example.block), example.block, example.x, dy);
  CHECK(quick.grad.attention.qkv.weight.norm() < 1.1f * full.grad.attention.qkv.weight.norm());
  CHECK(quick.dx.norm() < 1.1f * full.dx.norm());
}
