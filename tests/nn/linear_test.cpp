// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/linear.hpp>

#include "support/layer_gradients.hpp"

using namespace icrl;
using namespace icrl::test;

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

TEST_CASE("A linear map multiplies, adds and counts its weights", "[nn]") {
  Linear<double> map{2, 3};
  map.weight << 1, 2, 3,  //
      4, 5, 6;
  map.bias << 10, 20, 30;
  Matrix<double> x(1, 2), y(1, 3), expected(1, 3);
  x << 1, -1;
  expected << 7, 17, 27;

  map.forward(x, y);
  CHECK(y == expected);
  map.add_forward(x, y);
  CHECK(y == 2 * expected);
  NoMemory none;
  map.forward(x, none, y);
  CHECK(y == expected);

  CHECK(map.input_size() == 2);
  CHECK(map.output_size() == 3);
  CHECK(Linear<double>::weight_count(2, 3) == parameter_count(map));
}

TEST_CASE("Random weights leave the bias alone", "[nn]") {
  Linear<float> map{30, 40};
  Rng rng{1};
  map.initialize(0.1, rng);
  CHECK(map.bias.isZero());
  CHECK(map.weight.norm() / std::sqrt(1200.0f) == Approx(0.1).epsilon(0.1));
}
