// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/math/product.hpp>

#include <icrl/core/rng.hpp>

#include "support/catch.hpp"

using namespace icrl;

namespace {

template <typename S>
Matrix<S> random(Index rows, Index columns, std::uint64_t seed) {
  Rng rng{seed};
  Matrix<S> matrix(rows, columns);
  for (Index i = 0; i < matrix.size(); ++i) matrix.data()[i] = static_cast<S>(rng.normal());
  return matrix;
}

/// The product by its definition, in double.
template <typename S>
Matrix<S> reference(const Matrix<S>& a, const Matrix<S>& b) {
  Matrix<S> c(a.rows(), b.cols());
  for (Index i = 0; i < c.rows(); ++i) {
    for (Index j = 0; j < c.cols(); ++j) {
      double sum = 0;
      for (Index k = 0; k < a.cols(); ++k) sum += static_cast<double>(a(i, k)) * static_cast<double>(b(k, j));
      c(i, j) = static_cast<S>(sum);
    }
  }
  return c;
}

template <typename S>
double distance(const Matrix<S>& a, const Matrix<S>& b) {
  return static_cast<double>((a - b).cwiseAbs().maxCoeff()) /
         std::max(1.0, static_cast<double>(b.cwiseAbs().maxCoeff()));
}

}  // namespace

TEMPLATE_TEST_CASE("Products agree with their definition at every shape of tile, panel and tail", "[math]", float,
                   double) {
  using S = TestType;
  const double tolerance = std::is_same_v<S, float> ? 1e-5 : 1e-14;
  for (const Index rows : {1, 5, 13, 29}) {
    for (const Index width : {1, 8, 16, 48, 70, 129}) {
      for (const Index depth : {1, 17, 64, 300}) {
        const Matrix<S> a = random<S>(rows, depth, 1), b = random<S>(depth, width, 2), expected = reference<S>(a, b);
        const Matrix<S> a_transposed = a.transpose(), b_transposed = b.transpose();
        const RowVector<S> bias = random<S>(1, width, 3);
        Matrix<S> y(rows, width), by_transposed(rows, width), added = Matrix<S>::Ones(rows, width);

        affine<S>(a, b, bias, y);
        multiply_transposed<S>(a, b_transposed, by_transposed);
        add_transposed_product<S>(a_transposed, b, added);

        CAPTURE(rows, width, depth);
        CHECK(distance<S>(y, expected.rowwise() + bias) < tolerance);
        CHECK(distance<S>(by_transposed, expected) < tolerance);
        CHECK(distance<S>(added, (expected.array() + S(1)).matrix()) < tolerance);
      }
    }
  }
}

TEST_CASE("A product's row does not depend on how many rows are computed with it", "[math]") {
  const Matrix<float> a = random<float>(64, 100, 4), b = random<float>(100, 256, 5);
  const RowVector<float> bias = random<float>(1, 256, 6);
  Matrix<float> together(64, 256), alone(1, 256);
  affine<float>(a, b, bias, together);

  for (Index r = 0; r < 64; ++r) {
    affine<float>(a.row(r), b, bias, alone);
    REQUIRE(alone == together.row(r));
  }
}

TEST_CASE("Products accept blocks of larger matrices and leave their surroundings alone", "[math]") {
  const Matrix<double> a = random<double>(9, 12, 7), b = random<double>(6, 5, 8);
  const RowVector<double> bias = RowVector<double>::Zero(5);
  Matrix<double> big = Matrix<double>::Constant(11, 9, 42);

  affine<double>(a.middleCols(3, 6), b, bias, big.block(1, 2, 9, 5));

  CHECK(distance<double>(big.block(1, 2, 9, 5), reference<double>(a.middleCols(3, 6), b)) < 1e-14);
  CHECK(big.col(1) == Matrix<double>::Constant(11, 1, 42));
  CHECK(big.col(7) == Matrix<double>::Constant(11, 1, 42));
}
