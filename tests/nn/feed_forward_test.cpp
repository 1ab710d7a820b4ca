// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/feed_forward.hpp>

#include "support/layer_gradients.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("FeedForward backward matches finite differences", "[nn][gradient]") {
  check_residual_gradients(
      FeedForward<double>{6, 19}, 5, 6,
      [](const auto& layer, const auto& x, auto& cache, auto& scratch, auto& y) {
        layer.add_forward(x, cache, scratch, y);
      },
      [](const auto& layer, const auto& x, const auto& dy, auto& cache, auto& scratch, auto& grad, auto& dx) {
        layer.backward(x, dy, cache, scratch, grad, dx);
      });
}

TEST_CASE("A feed-forward layer that acts adds the numbers of the one that trains", "[nn]") {
  FeedForward<double> layer{6, 19};
  Rng rng{4};
  randomise(layer, rng);
  const Matrix<double> x = random_matrix(5, 6, rng);
  Matrix<double> trained = Matrix<double>::Ones(5, 6), acting = trained;
  FeedForward<double>::Cache cache;
  FeedForward<double>::Scratch scratch, fresh;
  layer.add_forward(x, cache, scratch, trained);
  layer.reserve(fresh, 5);
  layer.add_forward(x, fresh, acting);
  CHECK((acting - trained).norm() < 1e-13);
  CHECK(FeedForward<double>::weight_count(6, 19) == parameter_count(layer));
}
