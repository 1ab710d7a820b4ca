// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include "support/low_rank_linear.hpp"

#include "support/layer_gradients.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("A low-rank adapter's backward matches finite differences; its base gets no gradient", "[nn][gradient]") {
  STATIC_REQUIRE(TrainableLinearMap<LowRankLinear<double>>);
  LowRankLinear<double> layer{5, 7};
  Rng rng{7};
  randomise(layer, rng);
  Matrix<double> x = random_matrix(4, 5, rng);
  const Matrix<double> dy = random_matrix(4, 7, rng);
  LowRankLinear<double> grad = layer;
  set_zero(grad);
  LowRankLinear<double>::Cache cache;
  LowRankLinear<double>::Scratch scratch;
  const auto loss = [&] {
    Matrix<double> y(4, 7);
    layer.forward(x, cache, scratch, y);
    return y.cwiseProduct(dy).sum();
  };
  loss();
  Matrix<double> dx(4, 5);
  layer.backward(x, dy, cache, scratch, grad, dx);

  CHECK(relative_error(dx, numeric_gradient(x, loss)) < gradient_tolerance);
  CHECK(relative_error(grad.a, numeric_gradient(layer.a, loss)) < gradient_tolerance);
  CHECK(relative_error(grad.b, numeric_gradient(layer.b, loss)) < gradient_tolerance);
  CHECK(grad.base.weight.isZero());
  CHECK(LowRankLinear<double>::weight_count(5, 7) == parameter_count(layer));
}
