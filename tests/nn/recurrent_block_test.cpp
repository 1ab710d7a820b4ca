// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/recurrent_block.hpp>

#include "support/layer_gradients.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("RecurrentBlock backward matches finite differences", "[nn][gradient]") {
  check_gradients(
      RecurrentBlock<double>{6, 5, 9}, 14, 6, 6,
      [](const auto& block, const Matrix<double>& x) {
        RecurrentBlock<double>::Cache cache;
        RecurrentBlock<double>::Scratch scratch;
        Matrix<double> y = x;
        block.forward(cache, scratch, y);
        return y;
      },
      [](const auto& block, const Matrix<double>& x, const Matrix<double>& dy, auto& grad) {
        RecurrentBlock<double>::Cache cache;
        RecurrentBlock<double>::Scratch scratch, fresh;
        Matrix<double> y = x, dx = dy;
        block.forward(cache, scratch, y);
        block.backward(cache, fresh, grad, dx);
        return dx;
      });
}

TEST_CASE("A recurrent block that streams gives the rows of its forward pass", "[nn]") {
  RecurrentBlock<double> block{6, 5, 9};
  Rng rng{4};
  randomise(block, rng);
  CHECK(RecurrentBlock<double>::weight_count(6, 5, 9) == parameter_count(block));
  const Matrix<double> x = random_matrix(14, 6, rng);
  Matrix<double> expected = x;
  RecurrentBlock<double>::Cache cache;
  RecurrentBlock<double>::Scratch scratch;
  block.forward(cache, scratch, expected);

  std::vector<double> state(5, 0.0);
  double* const states[] = {state.data()};
  RecurrentBlock<double>::StreamScratch stream;
  block.reserve(stream, 1);
  for (Index t = 0; t < x.rows(); ++t) {
    Matrix<double> row = x.row(t);
    block.step(states, stream, row);
    CHECK((row - expected.row(t)).norm() < 1e-12);
  }
}
