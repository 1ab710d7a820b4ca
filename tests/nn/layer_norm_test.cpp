// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/layer_norm.hpp>

#include "support/layer_gradients.hpp"

using namespace icrl;
using namespace icrl::test;

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

TEST_CASE("A norm that acts writes the bits of the one that trains, also in place", "[nn]") {
  for (const Index width : {5, 16, 37}) {
    Rng rng{2};
    LayerNorm<float> norm{width};
    fill_normal(norm.gain, 1, rng);
    fill_normal(norm.bias, 1, rng);
    Matrix<float> x(3, width), trained(3, width), acting(3, width);
    fill_normal(x, 2, rng);
    LayerNorm<float>::Cache cache;
    LayerNorm<float>::Scratch scratch;

    norm.forward(x, cache, trained);
    norm.forward(x, scratch, acting);
    CHECK(acting == trained);
    norm.restore(cache, acting);
    CHECK(acting == trained);
    CHECK(LayerNorm<float>::weight_count(width) == parameter_count(norm));
  }
}
