// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/math/bfloat16.hpp>
#include <icrl/math/rounded_rows.hpp>

#include <cmath>
#include <limits>

#include <icrl/math/product.hpp>

#include "support/catch.hpp"
#include "support/products.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// Number i of a row of pairs.
float number(const Bf16Pair* pairs, Index i) { return detail::to_float(pairs[i / 2] >> (i % 2 * 16) & 0xffffu); }

Matrix<float> rounded(const Matrix<float>& x) {
  return x.unaryExpr([](float v) { return detail::to_float(detail::to_bfloat16(v)); });
}

double distance(const Matrix<float>& a, const Matrix<float>& b) {
  return static_cast<double>((a - b).cwiseAbs().maxCoeff());
}

}  // namespace

TEST_CASE("bfloat16 rounds to the nearest, ties to even, and keeps infinities and NaN", "[math]") {
  const auto round = [](float x) { return detail::to_float(detail::to_bfloat16(x)); };
  constexpr float infinity = std::numeric_limits<float>::infinity();
  CHECK(round(1.0f) == 1.0f);
  CHECK(round(1.0f + 1.0f / 256) == 1.0f);               // a tie, 1 is even
  CHECK(round(1.0f + 3.0f / 256) == 1.0f + 4.0f / 256);  // a tie, the upper one is even
  CHECK(round(-1.0f - 1.1f / 256) == -1.0f - 2.0f / 256);
  CHECK(round(infinity) == infinity);
  CHECK(round(-infinity) == -infinity);
  CHECK(std::isnan(round(std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("Rows and pairs of rows hold the rounded numbers, whatever the size", "[math]") {
  for (const Index rows : {1, 2, 5}) {
    for (const Index size : {1, 2, 15, 16, 31, 32, 33, 64, 70, 97}) {
      CAPTURE(rows, size);
      const Matrix<float> x = random_matrix<float>(rows, size, 1), expected = rounded(x);
      Matrix<Bf16Pair> along, across;
      round_rows(x, along);
      pair_rows(along, rows, size, across);
      for (Index r = 0; r < rows; ++r) {
        for (Index i = 0; i < size; ++i) {
          REQUIRE(number(row_data(along, r), i) == expected(r, i));
          REQUIRE(detail::to_float(across(r / 2, i) >> (r % 2 * 16) & 0xffffu) == expected(r, i));
        }
      }
      // What fills up the last pair must not count in a product.
      if (size % 2 == 1) REQUIRE(number(row_data(along, rows - 1), size) == 0);
      if (rows % 2 == 1) REQUIRE(across(rows / 2, size - 1) >> 16 == 0);
    }
  }
}

TEST_CASE("Products of pairs are those of the rounded numbers, packed or not", "[math]") {
  for (const Index rows : {1, 2, 13, 29}) {
    for (const Index width : {1, 16, 48, 70, 128, 129}) {
      for (const Index depth : {1, 17, 64, 700}) {
        CAPTURE(rows, width, depth);
        const Matrix<float> a = random_matrix<float>(rows, depth, 1), b = random_matrix<float>(depth, width, 2),
                            bias = random_matrix<float>(1, width, 3);
        const Matrix<float> expected = plain_product<float>(rounded(a), rounded(b));
        Matrix<Bf16Pair> a_pairs, b_rows, b_pairs;
        round_rows(a, a_pairs);
        round_rows(b, b_rows);
        pair_rows(b_rows, depth, width, b_pairs);
        const detail::Strided<Bf16Pair> left{a_pairs.data(), a_pairs.cols(), 1}, right{b_pairs.data(), width, 1};
        Matrix<float> plain(rows, width), packed = Matrix<float>::Ones(rows, width);
        detail::product<Bf16Pair>(rows, width, pair_count(depth), left, right, plain.data(), width, false, bias.data());
        detail::PackedMatrix<Bf16Pair> matrix;
        matrix.assign(right, pair_count(depth), width);
        matrix.multiply(rows, left, packed.data(), width, true);

        const double tolerance = 1e-5 * std::sqrt(static_cast<double>(depth));
        CHECK(distance(plain, expected.rowwise() + RowVector<float>(bias)) < tolerance);
        CHECK(distance(packed, (expected.array() + 1).matrix()) < tolerance);
      }
    }
  }
}

TEST_CASE("GELU and products with a rounded slope agree with floats to bfloat16's precision", "[math]") {
  for (const Index size : {1, 7, 16, 31, 32, 50, 96}) {
    CAPTURE(size);
    const Matrix<float> x = 2 * random_matrix<float>(1, size, 4), d = random_matrix<float>(1, size, 5);
    Matrix<float> y = x, slope(1, size), total = Matrix<float>::Ones(1, size);
    gelu_row(y.data(), slope.data(), size);
    Matrix<Bf16Pair> rounded_y(1, pair_count(size)), rounded_slope(1, pair_count(size)), product(1, pair_count(size));
    round_gelu_row(x.data(), size, rounded_y.data(), rounded_slope.data());
    round_product_row(d.data(), rounded_slope.data(), size, product.data(), total.data());
    for (Index i = 0; i < size; ++i) {
      CHECK(number(rounded_y.data(), i) == Approx(y(0, i)).epsilon(1.0 / 256).margin(1e-30));
      CHECK(number(rounded_slope.data(), i) == Approx(slope(0, i)).epsilon(1.0 / 256).margin(1e-30));
      const float expected = d(0, i) * number(rounded_slope.data(), i);
      CHECK(total(0, i) == Approx(1 + expected));
      CHECK(number(product.data(), i) == Approx(expected).epsilon(1.0 / 256).margin(1e-30));
    }
  }
}
