// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/dropout_attention.hpp>

#include "support/layer_gradients.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

template <typename S>
using AttentionPass = DropoutAttention<S, Linear<S>>;

/// What attention adds to zeros, with and without dropout.
template <typename S>
Matrix<S> attended(const CausalAttention<S>& layer, const Matrix<S>& x) {
  typename CausalAttention<S>::Cache cache;
  typename CausalAttention<S>::Scratch scratch;
  Matrix<S> y = Matrix<S>::Zero(x.rows(), x.cols());
  layer.add_forward(x, {}, cache, scratch, y);
  return y;
}
template <typename S>
Matrix<S> attended(const CausalAttention<S>& layer, const Matrix<S>& x, double share, const Rng& masks) {
  typename AttentionPass<S>::Cache cache;
  typename AttentionPass<S>::Scratch scratch;
  Matrix<S> y = Matrix<S>::Zero(x.rows(), x.cols());
  AttentionPass<S>{layer, share, masks}.add_forward(x, {}, cache, scratch, y);
  return y;
}

}  // namespace

TEST_CASE("Attention with dropout: backward matches finite differences under fixed masks", "[nn][gradient]") {
  for (const Index tokens : {1, 5, 21, 35}) {
    for (const bool turned : {false, true}) {
      const RotaryTable<double> rotary = turned ? RotaryTable<double>{40, 4} : RotaryTable<double>{};
      const CausalAttention<double> layer{8, 2};
      check_gradients(
          layer, tokens, 8, 8,
          [&](const auto& l, const Matrix<double>& x) {
            AttentionPass<double>::Cache cache;
            AttentionPass<double>::Scratch scratch;
            Matrix<double> y = Matrix<double>::Zero(tokens, 8);
            AttentionPass<double>{l, 0.4, Rng{6}}.add_forward(x, rotary, cache, scratch, y);
            return y;
          },
          [&](const auto& l, const Matrix<double>& x, const Matrix<double>& dy, auto& grad) {
            AttentionPass<double>::Cache cache;
            AttentionPass<double>::Scratch scratch, fresh;
            Matrix<double> y = Matrix<double>::Zero(tokens, 8), dx(tokens, 8);
            const AttentionPass<double> pass{l, 0.4, Rng{6}};
            pass.add_forward(x, rotary, cache, scratch, y);
            pass.backward(x, dy, rotary, cache, fresh, grad, dx);
            return dx;
          });
    }
  }
}

TEST_CASE("Attention with dropout of rate 0 gives the bits of attention, forward and back", "[nn]") {
  for (const Index tokens : {1, 16, 37, 80}) {
    CausalAttention<float> layer{24, 3};
    Rng rng{2};
    randomise(layer, rng);
    Matrix<float> x(tokens, 24), dy(tokens, 24), plain_dx(tokens, 24), dx(tokens, 24);
    fill_normal(x, 1.0, rng);
    fill_normal(dy, 1.0, rng);
    CausalAttention<float> plain_grad = layer, grad = layer;
    CausalAttention<float>::Cache plain_cache;
    CausalAttention<float>::Scratch plain_scratch;
    AttentionPass<float>::Cache cache;
    AttentionPass<float>::Scratch scratch;
    Matrix<float> plain = x, y = x;
    const RotaryTable<float> rotary{80, 8};
    const AttentionPass<float> pass{layer, 0, Rng{6}};

    layer.add_forward(x, rotary, plain_cache, plain_scratch, plain);
    layer.backward(x, dy, rotary, plain_cache, plain_scratch, plain_grad, plain_dx);
    pass.add_forward(x, rotary, cache, scratch, y);
    pass.backward(x, dy, rotary, cache, scratch, grad, dx);

    CHECK(y == plain);
    CHECK(dx == plain_dx);
    CHECK(grad.qkv.weight == plain_grad.qkv.weight);
    CHECK(grad.output.weight == plain_grad.output.weight);
  }
}

TEST_CASE("Weights of attention that are dropped are the masks' of their head, query and key", "[nn]") {
  // With equal scores, one head and values that say which token they are of, the output shows the weights.
  constexpr Index tokens = 20;
  CausalAttention<double> layer{tokens, 1};
  layer.qkv.weight.setZero();
  layer.qkv.weight.rightCols(tokens).setIdentity();
  layer.output.weight.setIdentity();
  const Dropout dropout{0.3, Rng{6}.fork(0)};

  const Matrix<double> weights = attended<double>(layer, Matrix<double>::Identity(tokens, tokens), 0.3, Rng{6});

  for (Index t = 0; t < tokens; ++t) {
    RowVector<double> expected = RowVector<double>::Zero(tokens);
    expected.head(t + 1).setConstant(1.0 / static_cast<double>(t + 1));
    dropout.drop_row(t, expected.data(), t + 1);
    CHECK((weights.row(t) - expected).norm() < 1e-14);
  }
}

TEST_CASE("The mean of attention over many masks is attention without dropout", "[nn]") {
  CausalAttention<double> layer{8, 2};
  Rng rng{2};
  randomise(layer, rng);
  const Matrix<double> x = random_matrix(6, 8, rng), expected = attended(layer, x);
  Matrix<double> sum = Matrix<double>::Zero(6, 8), squares = sum;
  constexpr int masks = 4000;
  for (std::uint64_t i = 0; i < masks; ++i) {
    const Matrix<double> y = attended(layer, x, 0.3, Rng{7}.fork(i));
    sum += y;
    squares += (y - expected).cwiseAbs2();
  }

  // Five standard deviations of a mean.
  const Matrix<double> tolerance = 5 * (squares / masks / masks).cwiseSqrt();
  CHECK(((sum / masks - expected).cwiseAbs().array() < tolerance.array() + 1e-12).all());
  CHECK((squares.array() > 0).all());
}
