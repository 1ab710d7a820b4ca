// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/math/bfloat16.hpp>

#include <cmath>
#include <limits>

#include <icrl/math/product.hpp>

#include "support/catch.hpp"
#include "support/largest_magnitude.hpp"
#include "support/products.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

Matrix<float> rounded(const Matrix<float>& x) {
  return x.unaryExpr([](float v) { return detail::to_float(detail::to_bfloat16(v)); });
}

double distance(const Matrix<float>& a, const Matrix<float>& b) { return largest_magnitude(a - b); }

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
      Buffer<Bf16Pair> along, across;
      round_rows(x, along);
      pair_rows(along, rows, size, across);
      for (Index r = 0; r < rows; ++r) {
        for (Index i = 0; i < size; ++i) {
          REQUIRE(detail::number_at(row_data(along, r), i) == expected(r, i));
          REQUIRE(detail::to_float(across(r / 2, i) >> (r % 2 * 16) & 0xffffu) == expected(r, i));
        }
      }
      // What fills up the last pair must not count in a product.
      if (size % 2 == 1) REQUIRE(detail::number_at(row_data(along, rows - 1), size) == 0);
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
        Buffer<Bf16Pair> a_pairs, b_rows, b_pairs;
        round_rows(a, a_pairs);
        round_rows(b, b_rows);
        pair_rows(b_rows, depth, width, b_pairs);
        const detail::Strided<Bf16Pair> left{a_pairs.data(), a_pairs.cols(), 1}, right{b_pairs.data(), width, 1};
        Matrix<float> plain(rows, width), packed = Matrix<float>::Ones(rows, width);
        detail::product<Bf16Pair>({.rows = rows,
                                   .width = width,
                                   .depth = pair_count(depth),
                                   .a = left,
                                   .b = right,
                                   .c = plain.data(),
                                   .c_stride = width,
                                   .bias = bias.data()});
        detail::PackedMatrix<Bf16Pair> matrix;
        matrix.assign(right, pair_count(depth), width);
        matrix.multiply({.rows = rows,
                         .width = width,
                         .depth = pair_count(depth),
                         .a = left,
                         .c = packed.data(),
                         .c_stride = width,
                         .accumulate = true});

        const double tolerance = 1e-5 * std::sqrt(static_cast<double>(depth));
        CHECK(distance(plain, expected.rowwise() + RowVector<float>(bias)) < tolerance);
        CHECK(distance(packed, (expected.array() + 1).matrix()) < tolerance);
      }
    }
  }
}
