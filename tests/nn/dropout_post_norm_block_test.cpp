// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/dropout_post_norm_block.hpp>

#include "support/layer_gradients.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

template <typename S>
using PostNormPass = DropoutBlock<PostNormBlock<S>>;

constexpr BlockShape dropped_post_norm_shape{.width = 8, .heads = 2, .head_size = 4, .hidden = 24};

}  // namespace

TEST_CASE("A post-norm block with dropout: backward matches finite differences under fixed masks", "[nn][gradient]") {
  const RotaryTable<double> rotary{20, 4};
  const DropoutRates rates{.residual = 0.2, .attention = 0.5};
  check_gradients(
      PostNormBlock<double>{dropped_post_norm_shape}, 18, 8, 8,
      [&](const auto& block, const Matrix<double>& x) {
        PostNormPass<double>::Cache cache;
        PostNormPass<double>::Scratch scratch;
        Matrix<double> y = x;
        DropoutBlock{block, rates, Rng{6}}.forward(rotary, cache, scratch, y);
        return y;
      },
      [&](const auto& block, const Matrix<double>& x, const Matrix<double>& dy, auto& grad) {
        PostNormPass<double>::Cache cache;
        PostNormPass<double>::Scratch scratch, fresh;
        Matrix<double> y = x, dx = dy;
        DropoutBlock{block, rates, Rng{6}}.forward(rotary, cache, scratch, y);
        DropoutBlock{block, rates, Rng{6}}.backward(rotary, cache, fresh, grad, dx);
        return dx;
      });
}

TEST_CASE("A post-norm block with dropout of rate 0 gives the bits of the block, forward and back", "[nn]") {
  PostNormBlock<float> block{BlockShape{.width = 24, .heads = 3, .head_size = 8, .hidden = 48}};
  Rng rng{2};
  randomise(block, rng);
  Matrix<float> x(37, 24), dy(37, 24);
  fill_normal(x, 1.0, rng);
  fill_normal(dy, 1.0, rng);
  Matrix<float> plain = x, y = x, plain_dx = dy, dx = dy;
  PostNormBlock<float> plain_grad = block, grad = block;
  PostNormBlock<float>::Cache plain_cache;
  PostNormBlock<float>::Scratch plain_scratch;
  PostNormPass<float>::Cache cache;
  PostNormPass<float>::Scratch scratch;
  const PostNormPass<float> pass{block, {}, Rng{6}};

  block.forward({}, plain_cache, plain_scratch, plain);
  block.backward({}, plain_cache, plain_scratch, plain_grad, plain_dx);
  pass.forward({}, cache, scratch, y);
  pass.backward({}, cache, scratch, grad, dx);

  CHECK(y == plain);
  CHECK(dx == plain_dx);
  for_each_parameter([](std::string_view, const auto& a, const auto& b) { CHECK(a == b); }, grad, plain_grad);
  const PostNormPass<float> dropping{block, {.residual = 0.1}, Rng{6}};
  dropping.forward({}, cache, scratch, y);
  CHECK(y != plain);
}
