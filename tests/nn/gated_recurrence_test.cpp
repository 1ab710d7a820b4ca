// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/gated_recurrence.hpp>

#include "support/layer_gradients.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("GatedRecurrence backward matches finite differences, also after a longer window", "[nn][gradient]") {
  for (const Index steps : {1, 2, 19}) {
    check_residual_gradients(
        GatedRecurrence<double>{6, 5}, steps, 6,
        [](const auto& layer, const auto& x, auto& cache, auto&, auto& y) {
          const Matrix<double> longer = Matrix<double>::Constant(25, 6, 3.0);
          Matrix<double> unused = longer;
          layer.add_forward(longer, cache, unused);
          layer.add_forward(x, cache, y);
        },
        [](const auto& layer, const auto& x, const auto& dy, auto& cache, auto& scratch, auto& grad, auto& dx) {
          layer.backward(x, dy, cache, scratch, grad, dx);
        });
  }
}

TEST_CASE("A unit with an open gate takes its value, one with a closed gate keeps its state", "[nn]") {
  GatedRecurrence<double> layer{1, 2};
  layer.in.bias << 50, -50, 7, 7, 50, 50;  // gates of two units, their values, their output gates
  layer.out.weight << 1, 1;
  double state[] = {3, 4};
  double* const states[] = {state};
  GatedRecurrence<double>::StreamScratch scratch;
  Matrix<double> x = Matrix<double>::Zero(1, 1), y = x;
  layer.step(x, states, scratch, y);
  CHECK(state[0] == Approx(7));
  CHECK(state[1] == Approx(4));
  CHECK(y(0, 0) == Approx(11));
}

TEST_CASE("A recurrence that streams adds what it adds over the window", "[nn]") {
  GatedRecurrence<double> layer{6, 5};
  Rng rng{4};
  randomise(layer, rng);
  const Matrix<double> x = random_matrix(30, 6, rng);
  Matrix<double> expected = Matrix<double>::Zero(30, 6);
  GatedRecurrence<double>::Cache cache;
  layer.add_forward(x, cache, expected);

  std::vector<double> mine(5, 0.0), other(5, 1.0);
  double* const states[] = {other.data(), mine.data()};
  GatedRecurrence<double>::StreamScratch scratch;
  for (Index t = 0; t < 30; ++t) {
    Matrix<double> both(2, 6), y = Matrix<double>::Zero(2, 6);
    both << x.row(29 - t), x.row(t);
    layer.step(both, states, scratch, y);
    CHECK((y.row(1) - expected.row(t)).norm() < 1e-13);
  }
  CHECK(GatedRecurrence<double>::weight_count(6, 5) == parameter_count(layer));
}

TEST_CASE("Memories of a fresh recurrence reach back from a step to the longest asked for", "[nn]") {
  GatedRecurrence<double> layer{4, 32};
  Rng rng{1};
  layer.initialize({.inner = 0.1, .residual = 0.05}, 100, rng);
  const auto reach = [&](Index unit) { return 1 + std::exp(-layer.in.bias(unit)); };  // 1 / sigmoid(bias)
  CHECK(reach(0) < 1.3);
  CHECK(reach(31) == Approx(100));
  CHECK(layer.in.bias.tail(64).isZero());
}
