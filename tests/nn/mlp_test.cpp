// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/mlp.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradient.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// The network in plain loops, row by row.
Matrix<double> plain_forward(const Mlp<double>& mlp, const Matrix<double>& x) {
  Matrix<double> rows = x;
  for (std::size_t l = 0; l < mlp.layers.size(); ++l) {
    const auto& [weight, bias] = mlp.layers[l];
    Matrix<double> next(x.rows(), weight.cols());
    for (Index r = 0; r < x.rows(); ++r) {
      for (Index c = 0; c < weight.cols(); ++c) {
        double sum = bias[c];
        for (Index k = 0; k < weight.rows(); ++k) sum += rows(r, k) * weight(k, c);
        const bool is_last = l + 1 == mlp.layers.size();
        next(r, c) = is_last ? sum : mlp.activation == Activation::tanh ? std::tanh(sum) : std::max(0.0, sum);
      }
    }
    rows = next;
  }
  return rows;
}

Matrix<double> forward(const Mlp<double>& mlp, const Matrix<double>& x) {
  Mlp<double>::Cache cache;
  Matrix<double> y(x.rows(), mlp.output_size());
  mlp.forward(x, cache, y);
  return y;
}

const std::vector<std::vector<Index>> some_sizes{{3, 2}, {4, 5, 3}, {2, 7, 6, 1}};

}  // namespace

TEST_CASE("Mlp computes by hand what it says", "[nn]") {
  Mlp<double> mlp{{1, 2, 1}, Activation::relu};
  mlp.layers[0].weight << 2, -3;
  mlp.layers[0].bias << -1, 0.5;
  mlp.layers[1].weight << 10, 100;
  mlp.layers[1].bias << 7;

  CHECK(forward(mlp, Matrix<double>{{1.5}})(0, 0) == 27);  // 10 max(0, 2) + 100 max(0, -4) + 7
  CHECK(forward(mlp, Matrix<double>{{-1}})(0, 0) == 357);

  mlp.activation = Activation::tanh;
  CHECK(forward(mlp, Matrix<double>{{1.5}})(0, 0) == Approx(10 * std::tanh(2.0) + 100 * std::tanh(-4.0) + 7));
}

TEST_CASE("Mlp forward equals plain loops", "[nn]") {
  Rng rng{1};
  for (const auto& sizes : some_sizes) {
    for (const Activation activation : {Activation::tanh, Activation::relu}) {
      Mlp<double> mlp{sizes, activation};
      randomise(mlp, rng);
      const Matrix<double> x = random_matrix(9, sizes.front(), rng);

      CHECK((forward(mlp, x) - plain_forward(mlp, x)).norm() < 1e-12);
    }
  }
}

TEST_CASE("Mlp backward matches finite differences", "[nn][gradient]") {
  Rng rng{2};
  for (const auto& sizes : some_sizes) {
    for (const Activation activation : {Activation::tanh, Activation::relu}) {
      Mlp<double> mlp{sizes, activation};
      randomise(mlp, rng);
      Matrix<double> x = random_matrix(4, sizes.front(), rng), y(4, sizes.back()), dx(4, sizes.front());
      const Matrix<double> dy = random_matrix(4, sizes.back(), rng);
      const auto loss = [&] { return forward(mlp, x).cwiseProduct(dy).sum(); };
      Mlp<double>::Cache cache;
      Mlp<double>::Scratch scratch;
      Mlp<double> grad = mlp;
      set_zero(grad);

      mlp.forward(x, cache, y);
      mlp.backward(x, dy, cache, scratch, grad, dx);

      const auto [error, name] = worst_parameter_error(mlp, grad, loss);
      INFO(sizes.size() << " sizes, worst is " << name);
      CHECK(error < 1e-8);
      CHECK(relative_error(dx, numeric_gradient(x, loss)) < 1e-8);

      Mlp<double> twice = grad;
      mlp.backward_parameters(x, dy, cache, scratch, twice);
      for_each_parameter([](auto, auto& one, auto& two) { CHECK((two - 2 * one).norm() < 1e-12); }, grad, twice);
    }
  }
}

TEST_CASE("An initialized Mlp keeps the size of what passes through, and has a quiet last layer", "[nn]") {
  for (const Activation activation : {Activation::tanh, Activation::relu}) {
    Mlp<double> mlp{{200, 300, 300, 40}, activation};
    Rng rng{3};

    mlp.initialize(rng, 0.01);

    const double gain = activation == Activation::relu ? 2 : 1;
    CHECK(mlp.layers[0].weight.cwiseAbs2().mean() == Approx(gain / 200).epsilon(0.05));
    CHECK(mlp.layers[1].weight.cwiseAbs2().mean() == Approx(gain / 300).epsilon(0.05));
    CHECK(mlp.layers[2].weight.cwiseAbs2().mean() == Approx(1e-4 / 300).epsilon(0.05));
    CHECK(mlp.layers[1].bias.isZero(0));
    Rng other{4};
    Mlp<double> different = mlp;
    different.initialize(other, 0.01);
    CHECK(different.layers[0].weight != mlp.layers[0].weight);
  }
}

TEST_CASE("Passes of an Mlp over no more rows than before allocate nothing", "[nn]") {
  if (!AllocationCount::is_available()) {
    WARN("allocations cannot be counted here");
    return;
  }
  Mlp<float> mlp{{6, 16, 16, 3}};
  Rng rng{5};
  mlp.initialize(rng);
  Mlp<float> grad = mlp;
  Mlp<float>::Cache cache;
  Mlp<float>::Scratch scratch;
  const Matrix<float> x = Matrix<float>::Random(8, 6), dy = Matrix<float>::Random(8, 3);
  Matrix<float> y(8, 3), dx(8, 6);
  const auto pass = [&](Index rows) {
    mlp.forward(x.topRows(rows), cache, y.topRows(rows));
    mlp.backward(x.topRows(rows), dy.topRows(rows), cache, scratch, grad, dx.topRows(rows));
    mlp.backward_parameters(x.topRows(rows), dy.topRows(rows), cache, scratch, grad);
  };
  pass(8);

  const AllocationCount allocations;
  pass(8);
  pass(3);

  CHECK(allocations.count() == 0);
}

TEST_CASE("An Mlp of no layer or of an empty one is refused", "[nn]") {
  CHECK(error_of([] { const Mlp<float> mlp{std::vector<Index>{3}}; }) ==
        "mlp: sizes has 1 entries, it needs at least an input size and an output size");
  CHECK(error_of([] { const Mlp<float> mlp{{3, 0, 2}}; }) == "mlp: size 1 of 3 is 0, it must be at least 1");
}
