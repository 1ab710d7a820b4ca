// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include <icrl/math/matrix.hpp>

namespace icrl::test {

/// The largest magnitude of a matrix's numbers; not a number if one of them is none. Eigen's maxCoeff() does not
/// promise that, and for AVX-512 with -flto g++ 12 warns of the intrinsic that it uses (its bug 105593).
template <typename Derived>
[[nodiscard]] double largest_magnitude(const Eigen::MatrixBase<Derived>& x) {
  double largest = 0;
  for (Index r = 0; r < x.rows(); ++r) {
    for (Index c = 0; c < x.cols(); ++c) {
      const double magnitude = std::abs(static_cast<double>(x(r, c)));
      if (!(magnitude <= largest)) largest = magnitude;
      if (std::isnan(largest)) return largest;
    }
  }
  return largest;
}

}  // namespace icrl::test
