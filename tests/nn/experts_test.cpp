// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include "support/experts.hpp"

#include <icrl/nn/block.hpp>

#include "support/layer_gradients.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("Two experts: backward matches finite differences, and both are asked", "[nn][gradient]") {
  STATIC_REQUIRE(TrainableLayer<TwoExperts<double>>);
  STATIC_REQUIRE(Block<double, Linear<double>, TwoExperts<double>>::is_trainable);
  check_residual_gradients(
      TwoExperts<double>{6, 9}, 12, 6,
      [](const auto& layer, const auto& x, auto& cache, auto& scratch, auto& y) {
        layer.add_forward(x, cache, scratch, y);
        CHECK(cache.groups[0].tokens.size() + cache.groups[1].tokens.size() == 12);
        CHECK(!cache.groups[0].tokens.empty());
        CHECK(!cache.groups[1].tokens.empty());
      },
      [](const auto& layer, const auto& x, const auto& dy, auto& cache, auto& scratch, auto& grad, auto& dx) {
        layer.backward(x, dy, cache, scratch, grad, dx);
      });
}

TEST_CASE("Experts that act add the numbers of those that train", "[nn]") {
  TwoExperts<double> layer{6, 9};
  Rng rng{4};
  randomise(layer, rng);
  const Matrix<double> x = random_matrix(12, 6, rng);
  Matrix<double> trained = Matrix<double>::Ones(12, 6), acting = trained;
  TwoExperts<double>::Cache cache;
  TwoExperts<double>::Scratch scratch, fresh;
  layer.add_forward(x, cache, scratch, trained);
  layer.reserve(fresh, 12);
  layer.add_forward(x, fresh, acting);
  CHECK((acting - trained).norm() < 1e-13);
  CHECK(TwoExperts<double>::weight_count(6, 9) == parameter_count(layer));
}
