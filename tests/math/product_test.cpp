// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/math/product.hpp>

#include "support/catch.hpp"
#include "support/largest_magnitude.hpp"
#include "support/products.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

template <typename S>
double distance(const Matrix<S>& a, const Matrix<S>& b) {
  return largest_magnitude(a - b) / std::max(1.0, largest_magnitude(b));
}

}  // namespace

TEMPLATE_TEST_CASE("Products agree with their definition at every shape of tile, panel and tail", "[math]", float,
                   double) {
  using S = TestType;
  const double tolerance = std::is_same_v<S, float> ? 1e-5 : 1e-14;
  for (const Index rows : {1, 5, 13, 29}) {
    for (const Index width : {1, 8, 16, 48, 70, 129}) {
      for (const Index depth : {1, 17, 64, 300}) {
        const Matrix<S> a = random_matrix<S>(rows, depth, 1), b = random_matrix<S>(depth, width, 2),
                        expected = plain_product<S>(a, b);
        const Matrix<S> a_transposed = a.transpose(), b_transposed = b.transpose();
        const RowVector<S> bias = random_matrix<S>(1, width, 3);
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
  const Matrix<float> a = random_matrix<float>(64, 100, 4), b = random_matrix<float>(100, 256, 5);
  const RowVector<float> bias = random_matrix<float>(1, 256, 6);
  Matrix<float> together(64, 256), alone(1, 256);
  affine<float>(a, b, bias, together);

  for (Index r = 0; r < 64; ++r) {
    affine<float>(a.row(r), b, bias, alone);
    REQUIRE(alone == together.row(r));
  }
}

TEST_CASE("Products accept blocks of larger matrices and leave their surroundings alone", "[math]") {
  const Matrix<double> a = random_matrix<double>(9, 12, 7), b = random_matrix<double>(6, 5, 8);
  const RowVector<double> bias = RowVector<double>::Zero(5);
  Matrix<double> big = Matrix<double>::Constant(11, 9, 42);

  affine<double>(a.middleCols(3, 6), b, bias, big.block(1, 2, 9, 5));

  CHECK(distance<double>(big.block(1, 2, 9, 5), plain_product<double>(a.middleCols(3, 6), b)) < 1e-14);
  CHECK(big.col(1) == Matrix<double>::Constant(11, 1, 42));
  CHECK(big.col(7) == Matrix<double>::Constant(11, 1, 42));
}
