// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/dropout_block.hpp>

#include <cmath>

#include <icrl/nn/mixture_of_experts.hpp>

#include "support/layer_gradients.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

template <typename S>
using BlockPass = DropoutBlock<Block<S>>;

template <typename S>
Matrix<S> passed(const BlockPass<S>& pass, const Matrix<S>& x) {
  typename BlockPass<S>::Cache cache;
  typename BlockPass<S>::Scratch scratch;
  Matrix<S> y = x;
  pass.forward({}, cache, scratch, y);
  return y;
}

}  // namespace

TEST_CASE("A block with dropout: backward matches finite differences under fixed masks", "[nn][gradient]") {
  const RotaryTable<double> rotary{20, 4};
  for (const DropoutRates& rates : {DropoutRates{.residual = 0.3}, DropoutRates{.attention = 0.4},
                                    DropoutRates{.residual = 0.2, .attention = 0.5}}) {
    check_gradients(
        Block<double>{8, 24, 2}, 18, 8, 8,
        [&](const auto& block, const Matrix<double>& x) {
          BlockPass<double>::Cache cache;
          BlockPass<double>::Scratch scratch;
          Matrix<double> y = x;
          BlockPass<double>{block, rates, Rng{6}}.forward(rotary, cache, scratch, y);
          return y;
        },
        [&](const auto& block, const Matrix<double>& x, const Matrix<double>& dy, auto& grad) {
          BlockPass<double>::Cache cache;
          BlockPass<double>::Scratch scratch, fresh;
          Matrix<double> y = x, dx = dy;
          BlockPass<double>{block, rates, Rng{6}}.forward(rotary, cache, scratch, y);
          BlockPass<double>{block, rates, Rng{6}}.backward(rotary, cache, fresh, grad, dx);
          return dx;
        });
  }
}

TEST_CASE("A block with dropout of rate 0 gives the bits of the block, forward and back", "[nn]") {
  Block<float> block{24, 48, 3};
  Rng rng{2};
  randomise(block, rng);
  Matrix<float> x(37, 24), dy(37, 24);
  fill_normal(x, 1.0, rng);
  fill_normal(dy, 1.0, rng);
  Matrix<float> plain = x, y = x, plain_dx = dy, dx = dy;
  Block<float> plain_grad = block, grad = block;
  Block<float>::Cache plain_cache;
  Block<float>::Scratch plain_scratch;
  BlockPass<float>::Cache cache;
  BlockPass<float>::Scratch scratch;
  const BlockPass<float> pass{block, {}, Rng{6}};

  block.forward({}, plain_cache, plain_scratch, plain);
  block.backward({}, plain_cache, plain_scratch, plain_grad, plain_dx);
  pass.forward({}, cache, scratch, y);
  pass.backward({}, cache, scratch, grad, dx);

  CHECK(y == plain);
  CHECK(dx == plain_dx);
  for_each_parameter([](std::string_view, const auto& a, const auto& b) { CHECK(a == b); }, grad, plain_grad);
}

TEST_CASE("What a layer adds to the residual stream is dropped, and the stream is not", "[nn]") {
  Block<double> block{8, 16, 2};
  Rng rng{2};
  randomise(block, rng);
  set_zero(block.feed_forward);
  const Matrix<double> x = random_matrix(30, 8, rng);
  const Matrix<double> plain = passed<double>({block, {}, Rng{6}}, x) - x;

  const Matrix<double> dropped = passed<double>({block, {.residual = 0.25}, Rng{6}}, x) - x;

  Index zeros = 0;
  for (Index i = 0; i < x.size(); ++i) {
    const double found = dropped.data()[i], whole = plain.data()[i];
    zeros += found == 0 ? 1 : 0;
    if (found != 0) CHECK(found == Approx(whole / 0.75).epsilon(1e-9));
  }
  CHECK(static_cast<double>(zeros) == Approx(0.25 * 240).epsilon(0.3));
}

TEST_CASE("The layers of a block have masks of their own, and another generator has others", "[nn]") {
  Block<double> block{8, 16, 2};
  Rng rng{2};
  randomise(block, rng);
  const Matrix<double> x = random_matrix(10, 8, rng);
  const DropoutRates rates{.residual = 0.5};
  const Matrix<double> y = passed<double>({block, rates, Rng{6}}, x);
  CHECK(passed<double>({block, rates, Rng{6}}, x) == y);
  CHECK(passed<double>({block, rates, Rng{7}}, x) != y);

  // Both layers add a constant, so equal masks would leave 0 or 2 of them.
  set_zero(block.attention);
  set_zero(block.feed_forward);
  block.attention.output.bias.setOnes();
  block.feed_forward.down.bias.setOnes();
  const Matrix<double> added = passed<double>({block, rates, Rng{6}}, x) - x;
  Index single = 0;
  for (Index i = 0; i < added.size(); ++i) single += std::abs(added.data()[i] - 2) < 1e-9 ? 1 : 0;
  CHECK(single > 20);  // of 80
  CHECK(single < 60);
}

TEST_CASE("A block of experts has a pass with dropout, too", "[nn]") {
  using Experts = MixtureOfExperts<double>;
  using Sparse = Block<double, Linear<double>, Experts>;
  Sparse block{BlockShape{.width = 8, .heads = 2, .head_size = 4, .hidden = 8}, MixtureConfig{.expert_count = 3}};
  Rng rng{2};
  randomise(block, rng);
  const Matrix<double> x = random_matrix(10, 8, rng);
  Matrix<double> y = x, dx = x;
  DropoutBlock<Sparse>::Cache cache;
  DropoutBlock<Sparse>::Scratch scratch;
  const DropoutBlock<Sparse> pass{block, {.residual = 0.1, .attention = 0.1}, Rng{6}};
  Sparse grad = block;
  set_zero(grad);

  pass.forward({}, cache, scratch, y);
  pass.backward({}, cache, scratch, grad, dx);

  CHECK(y.allFinite());
  CHECK(dx.allFinite());
  CHECK(grad.feed_forward.router.weight.norm() > 0);
}
