// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <numbers>
#include <span>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/env/plane_point.hpp>

namespace icrl {

/// What is known of a hidden disc that pays whoever is on it: the centers that it may have, on a grid. A place that
/// does not pay rules out the centers within the disc's radius; one that pays rules out all others. The radius is
/// reduced or increased by the largest distance to a point of the grid, so that the point nearest to the true center is
/// never ruled out.
class DiscSearch {
public:
  /// All points of a grid that covers the square [-1, 1] x [-1, 1] for which `is_possible(center, off_grid)`. `radius`
  /// of the disc, above 0; a grid has 6 points per radius.
  template <std::predicate<PlanePoint, double> Possible>
  DiscSearch(double radius, Possible is_possible) : radius_{radius}, off_grid_{off_grid(radius)} {
    ICRL_ASSERT(radius > 0, "disc search: the radius must be above 0");
    const double spacing = radius / points_per_radius;
    const int most = static_cast<int>(std::ceil(1 / spacing));
    for (int i = -most; i <= most; ++i) {
      for (int j = -most; j <= most; ++j) {
        const PlanePoint center{i * spacing, j * spacing};
        if (is_possible(center, off_grid_)) centers_.push_back(center);
      }
    }
  }

  /// The farthest that a place lies from the nearest point of the grid.
  [[nodiscard]] static double off_grid(double radius) { return radius / points_per_radius / std::numbers::sqrt2; }

  /// Whether a place paid or not.
  void note(PlanePoint place, bool is_paid) {
    const double reach = radius_ + (is_paid ? off_grid_ : -off_grid_);
    std::erase_if(centers_, [&](PlanePoint center) { return (distance(center, place) <= reach) != is_paid; });
    is_found_ = is_found_ || is_paid;
  }

  /// Centers that are not ruled out; none if what was noted contradicts itself.
  [[nodiscard]] std::span<const PlanePoint> centers() const { return centers_; }
  /// Whether a place has paid.
  [[nodiscard]] bool is_found() const { return is_found_; }
  /// How many centers it would rule out if a place did not pay.
  [[nodiscard]] std::ptrdiff_t covered_from(PlanePoint place) const {
    return std::ranges::count_if(centers_,
                                 [&](PlanePoint center) { return distance(center, place) <= radius_ - off_grid_; });
  }

  /// Where to go: once a place has paid, the middle of the centers that are left, before that the nearest one. At least
  /// one must be left.
  [[nodiscard]] PlanePoint target(PlanePoint from) const {
    ICRL_ASSERT(!centers_.empty(), "disc search: no center is left");
    if (is_found_) {
      PlanePoint sum;
      for (const PlanePoint center : centers_) sum = {sum.x + center.x, sum.y + center.y};
      const auto count = static_cast<double>(centers_.size());
      return {sum.x / count, sum.y / count};
    }
    return *std::ranges::min_element(centers_, {}, [&](PlanePoint center) { return distance(center, from); });
  }

private:
  static constexpr int points_per_radius = 6;

  double radius_, off_grid_;
  std::vector<PlanePoint> centers_;
  bool is_found_ = false;
};

}  // namespace icrl
