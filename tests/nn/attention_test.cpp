// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/attention.hpp>

#include "support/layer_gradients.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("CausalAttention backward matches finite differences, with and without rotary positions", "[nn][gradient]") {
  for (const Index tokens : {1, 5, 21, 35}) {
    for (const bool turned : {false, true}) {
      const RotaryTable<double> rotary = turned ? RotaryTable<double>{40, 4} : RotaryTable<double>{};
      check_residual_gradients(
          CausalAttention<double>{8, 2}, tokens, 8,
          [&](const auto& layer, const auto& x, auto& cache, auto& scratch, auto& y) {
            layer.add_forward(x, rotary, cache, scratch, y);
          },
          [&](const auto& layer, const auto& x, const auto& dy, auto& cache, auto& scratch, auto& grad, auto& dx) {
            layer.backward(x, dy, rotary, cache, scratch, grad, dx);
          });
    }
  }
}

TEST_CASE("A causal layer's output at a token does not depend on later tokens", "[nn]") {
  Rng rng{3};
  CausalAttention<float> layer{32, 2};
  randomise(layer, rng);
  Matrix<float> x(40, 32);
  fill_normal(x, 1.0, rng);
  const auto attend = [&](const Matrix<float>& input) {
    CausalAttention<float>::Cache cache;
    CausalAttention<float>::Scratch scratch;
    Matrix<float> y = Matrix<float>::Zero(input.rows(), 32);
    layer.add_forward(input, {}, cache, scratch, y);
    return y;
  };
  const Matrix<float> before = attend(x);

  x.bottomRows(20).setConstant(100);
  const Matrix<float> after = attend(x);

  CHECK(before.topRows(20) == after.topRows(20));
  CHECK(before.bottomRows(20) != after.bottomRows(20));
}

TEST_CASE("Heads need not fill the width: backward matches finite differences", "[nn][gradient]") {
  const RotaryTable<double> rotary{40, 4};
  check_residual_gradients(
      CausalAttention<double>{/*width*/ 7, /*heads*/ 3, /*head_size*/ 4}, 18, 7,
      [&](const auto& layer, const auto& x, auto& cache, auto& scratch, auto& y) {
        layer.add_forward(x, rotary, cache, scratch, y);
      },
      [&](const auto& layer, const auto& x, const auto& dy, auto& cache, auto& scratch, auto& grad, auto& dx) {
        layer.backward(x, dy, rotary, cache, scratch, grad, dx);
      });
  CHECK(CausalAttention<double>::weight_count(7, 3, 4) == parameter_count(CausalAttention<double>{7, 3, 4}));
}

TEST_CASE("Attention that streams token by token adds what it adds over the window", "[nn]") {
  constexpr Index tokens = 37, width = 10, heads = 3, size = 4;
  Rng rng{6};
  CausalAttention<double> layer{width, heads, size};
  randomise(layer, rng);
  const RotaryTable<double> rotary{tokens, size};
  const Matrix<double> x = random_matrix(tokens, width, rng);
  CausalAttention<double>::Cache cache;
  CausalAttention<double>::Scratch scratch;
  Matrix<double> expected = Matrix<double>::Zero(tokens, width);
  layer.add_forward(x, rotary, cache, scratch, expected);

  Matrix<double> keys(1, heads * size * padded<double>(tokens)), values = keys;
  const StreamKeyValues<double> past{keys.data(), values.data(), heads * size};
  CausalAttention<double>::StreamScratch stream;
  layer.reserve(stream, 1, tokens);
  const Index wanted[] = {0};
  for (Index t = 0; t < tokens; ++t) {
    const StreamPlace<double> places[] = {{past, t}};
    Matrix<double> y = Matrix<double>::Zero(1, width);
    layer.append(x.middleRows(t, 1), rotary, places, stream);
    layer.attend(wanted, places, stream, y);
    CHECK((y - expected.row(t)).norm() < 1e-12);
  }
}
