// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include <icrl/core/target.hpp>

namespace icrl {

/// A place in a plane.
struct PlanePoint {
  double x = 0, y = 0;  ///< coordinates
  friend bool operator==(const PlanePoint&, const PlanePoint&) = default;
};

/// Along a straight line.
[[nodiscard]] inline double distance(PlanePoint a, PlanePoint b) {
  const double x = a.x - b.x, y = a.y - b.y;
  return std::sqrt(x * x + y * y);
}

}  // namespace icrl
