// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/bf16_linear.hpp>

#include "support/catch.hpp"
#include "support/largest_magnitude.hpp"
#include "support/plain_bfloat16.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

Matrix<float> random_floats(Index rows, Index columns, Rng& rng) {
  Matrix<float> matrix(rows, columns);
  fill_normal(matrix, 1, rng);
  return matrix;
}

/// A matrix whose numbers have 8 bits of precision, in double.
Matrix<double> plainly_rounded(const Matrix<float>& from) {
  Matrix<double> to(from.rows(), from.cols());
  for (Index i = 0; i < from.size(); ++i) to.data()[i] = test::plainly_rounded(static_cast<double>(from.data()[i]));
  return to;
}

}  // namespace

TEST_CASE("A linear map in bfloat16 multiplies the rounded factors, forward and back", "[nn]") {
  struct Shape {
    Index rows, in, out;
  };
  for (const Shape& shape : {Shape{1, 1, 1}, {3, 5, 7}, {48, 64, 33}, {49, 17, 130}}) {
    CAPTURE(shape.rows, shape.in, shape.out);
    Rng rng{3};
    Linear<float> map{shape.in, shape.out};
    fill_normal(map.weight, 1, rng);
    fill_normal(map.bias, 1, rng);
    Bf16Linear bf16{map};
    Bf16Linear::PackScratch packing;
    bf16.pack(packing);
    const Matrix<float> x = random_floats(shape.rows, shape.in, rng), dy = random_floats(shape.rows, shape.out, rng);
    Buffer<Bf16Pair> x_rows, x_pairs, dy_rows, dy_pairs;
    round_rows(x, x_rows);
    pair_rows(x_rows, shape.rows, shape.in, x_pairs);
    round_rows(dy, dy_rows);
    pair_rows(dy_rows, shape.rows, shape.out, dy_pairs);

    const Matrix<double> plain_x = plainly_rounded(x), plain_dy = plainly_rounded(dy),
                         plain_weight = plainly_rounded(map.weight);
    const double tolerance = 1e-5 * static_cast<double>(shape.rows + shape.in + shape.out);
    Matrix<float> y(shape.rows, shape.out), dx(shape.rows, shape.in);
    Matrix<double> expected = plain_x.lazyProduct(plain_weight);
    expected.rowwise() += map.bias.cast<double>();

    bf16.forward(x_rows, y);
    CHECK(largest_magnitude(y.cast<double>() - expected) < tolerance);
    bf16.add_forward(x_rows, y);
    CHECK(largest_magnitude(y.cast<double>() - 2 * expected) < 2 * tolerance);

    bf16.backward(dy_rows, dx);
    const Matrix<double> expected_dx = plain_dy.lazyProduct(plain_weight.transpose());
    CHECK(largest_magnitude(dx.cast<double>() - expected_dx) < tolerance);

    Linear<float> grad{shape.in, shape.out};
    Bf16Linear::add_gradient(x_pairs, dy_pairs, shape.rows, grad);
    const Matrix<double> expected_dw = plain_x.transpose().lazyProduct(plain_dy);
    CHECK(largest_magnitude(grad.weight.cast<double>() - expected_dw) < tolerance);
    CHECK(grad.bias.isZero());
  }
}

TEST_CASE("A pass sees the weights that were packed last", "[nn]") {
  Linear<float> map{2, 2};
  Bf16Linear bf16{map};
  Bf16Linear::PackScratch packing;
  bf16.pack(packing);
  map.weight.setOnes();
  const Matrix<float> x = Matrix<float>::Ones(1, 2);
  Buffer<Bf16Pair> rows;
  round_rows(x, rows);
  Matrix<float> y(1, 2);
  bf16.forward(rows, y);
  CHECK(y.isZero());
  bf16.pack(packing);
  bf16.forward(rows, y);
  CHECK((y.array() == 2.0f).all());
}
