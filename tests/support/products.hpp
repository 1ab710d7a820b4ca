// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include <icrl/core/rng.hpp>
#include <icrl/math/matrix.hpp>

namespace icrl::test {

template <typename S>
Matrix<S> random_matrix(Index rows, Index columns, std::uint64_t seed) {
  Rng rng{seed};
  Matrix<S> matrix(rows, columns);
  for (Index i = 0; i < matrix.size(); ++i) matrix.data()[i] = static_cast<S>(rng.normal());
  return matrix;
}

/// The product by its definition, in double.
template <typename S>
Matrix<S> plain_product(const Matrix<S>& a, const Matrix<S>& b) {
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

}  // namespace icrl::test
