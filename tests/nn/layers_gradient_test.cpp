// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/block.hpp>

#include "support/catch.hpp"
#include "support/gradient.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

constexpr double tolerance = 1e-8;

/// Checks a layer given as forward(layer, x) -> y and backward(layer, x, dy, grad) -> dx against finite differences of
/// sum(y * dy), for random weights, input and dy.
template <typename Layer, typename Forward, typename Backward>
void check_gradients(Layer layer, Index rows, Index in, Index out, Forward forward, Backward backward) {
  Rng rng{7};
  randomise(layer, rng);
  Matrix<double> x = random_matrix(rows, in, rng);
  const Matrix<double> dy = random_matrix(rows, out, rng);
  Layer grad = layer;
  set_zero(grad);

  const Matrix<double> dx = backward(layer, x, dy, grad);

  const auto loss = [&] { return forward(layer, x).cwiseProduct(dy).sum(); };
  CHECK(relative_error(dx, numeric_gradient(x, loss)) < tolerance);
  const auto [error, name] = worst_parameter_error(layer, grad, loss);
  INFO("worst tensor: " << name);
  CHECK(error < tolerance);
}

/// The same for layers that add to a residual stream.
template <typename Layer, typename AddForward, typename Backward>
void check_residual_gradients(const Layer& layer, Index rows, Index width, AddForward add_forward, Backward backward) {
  check_gradients(
      layer, rows, width, width,
      [&](const Layer& l, const Matrix<double>& x) {
        typename Layer::Cache cache;
        typename Layer::Scratch scratch;
        Matrix<double> y = Matrix<double>::Zero(rows, width);
        add_forward(l, x, cache, scratch, y);
        return y;
      },
      [&](const Layer& l, const Matrix<double>& x, const Matrix<double>& dy, Layer& grad) {
        typename Layer::Cache cache;
        typename Layer::Scratch scratch;
        Matrix<double> y = Matrix<double>::Zero(rows, width), dx(rows, width);
        typename Layer::Scratch fresh;
        add_forward(l, x, cache, scratch, y);
        backward(l, x, dy, cache, fresh, grad, dx);
        return dx;
      });
}

}  // namespace

TEST_CASE("Linear backward matches finite differences", "[nn][gradient]") {
  check_gradients(
      Linear<double>{5, 7}, 3, 5, 7,
      [](const auto& layer, const Matrix<double>& x) {
        Matrix<double> y(x.rows(), 7);
        layer.forward(x, y);
        return y;
      },
      [](const auto& layer, const Matrix<double>& x, const Matrix<double>& dy, auto& grad) {
        Matrix<double> dx(x.rows(), x.cols());
        layer.backward(x, dy, grad, dx);
        return dx;
      });
}

TEST_CASE("LayerNorm backward matches finite differences at widths with and without a vector's tail",
          "[nn][gradient]") {
  for (const Index width : {5, 8, 21}) {
    check_gradients(
        LayerNorm<double>{width}, 4, width, width,
        [](const auto& layer, const Matrix<double>& x) {
          LayerNorm<double>::Cache cache;
          Matrix<double> y(x.rows(), x.cols());
          layer.forward(x, cache, y);
          return y;
        },
        [](const auto& layer, const Matrix<double>& x, const Matrix<double>& dy, auto& grad) {
          LayerNorm<double>::Cache cache;
          Matrix<double> y(x.rows(), x.cols()), dx(x.rows(), x.cols());
          layer.forward(x, cache, y);
          layer.backward(dy, cache, grad, dx);
          return dx;
        });
  }
}

TEST_CASE("FeedForward backward matches finite differences", "[nn][gradient]") {
  check_residual_gradients(
      FeedForward<double>{6, 19}, 5, 6,
      [](const auto& layer, const auto& x, auto& cache, auto&, auto& y) { layer.add_forward(x, cache, y); },
      [](const auto& layer, const auto& x, const auto& dy, auto& cache, auto& scratch, auto& grad, auto& dx) {
        layer.backward(x, dy, cache, scratch, grad, dx);
      });
}

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

TEST_CASE("Block backward matches finite differences", "[nn][gradient]") {
  const RotaryTable<double> rotary{20, 4};
  check_gradients(
      Block<double>{8, 24, 2}, 18, 8, 8,
      [&](const auto& block, const Matrix<double>& x) {
        Block<double>::Cache cache;
        Block<double>::Scratch scratch;
        Matrix<double> y = x;
        block.forward(rotary, cache, scratch, y);
        return y;
      },
      [&](const auto& block, const Matrix<double>& x, const Matrix<double>& dy, auto& grad) {
        Block<double>::Cache cache;
        Block<double>::Scratch scratch;
        Matrix<double> y = x, dx = dy;
        Block<double>::Scratch fresh;
        block.forward(rotary, cache, scratch, y);
        block.backward(rotary, cache, fresh, grad, dx);
        return dx;
      });
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

TEST_CASE("for_each_parameter names every tensor by its path", "[nn]") {
  Block<double> block{4, 8, 2};
  std::vector<std::string> names;
  for_each_parameter([&](std::string_view name, auto&) { names.emplace_back(name); }, block);

  CHECK(names.size() == 12);
  CHECK(names.front() == "attention_norm.gain");
  CHECK(std::find(names.begin(), names.end(), "mlp.down.bias") != names.end());
  CHECK(parameter_count(block) == 4 + 4 + 4 * 12 + 12 + 4 * 4 + 4 + 4 + 4 + 4 * 8 + 8 + 8 * 4 + 4);
}
