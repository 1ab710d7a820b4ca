// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>

#include <icrl/core/assert.hpp>
#include <icrl/env/watermaze_pool.hpp>

namespace icrl {

/// What a swimmer sees: opaque water below, sky above, and between them a round wall whose colors tell where it looks.
/// One ray per column finds the wall; how high it stands there follows from its distance. Pixels at its edges are
/// mixed by the share that it covers, so that small moves change the picture.
class PoolView {
public:
  using Color = std::array<double, 3>;  ///< red, green and blue in 0 .. 1

  static constexpr double field_of_view = std::numbers::pi / 2;  ///< of the width, in radians
  static constexpr double eye_height = 0.1;                      ///< above the water, in radii of the pool
  static constexpr double wall_height = 0.4;                     ///< above the water
  static constexpr int panel_count = 16;                         ///< of the wall; every other one is darker

  /// Sizes in pixels, at least 1.
  PoolView(int height, int width) : height_{height}, width_{width}, focal_{width / 2.0 / std::tan(field_of_view / 2)} {}

  /// Where a ray through the center of a column meets the wall, and how far ahead that is, measured along the heading.
  struct Hit {
    PlanePoint wall;  ///< on the unit circle
    double depth;     ///< above 0
  };
  /// `from` lies inside the pool.
  [[nodiscard]] Hit cast(PlanePoint from, double angle, int column) const {
    const double aside = (width_ / 2.0 - column - 0.5) / focal_;  // to the left of the heading, per unit ahead
    const double x = std::cos(angle) - aside * std::sin(angle), y = std::sin(angle) + aside * std::cos(angle);
    const double along = from.x * x + from.y * y, length = x * x + y * y;
    const double inside = 1 - from.x * from.x - from.y * from.y;
    ICRL_ASSERT(inside > 0, "pool view: the eye must be inside the pool");
    const double depth = (std::sqrt(along * along + length * inside) - along) / length;
    return {{from.x + depth * x, from.y + depth * y}, depth};
  }

  /// The wall's color at a place of it: hues go once around the pool, each mixed with white so that all are bright.
  [[nodiscard]] static Color wall_color(PlanePoint wall) {
    constexpr double full = 2 * std::numbers::pi;
    const double angle = std::atan2(wall.y, wall.x), turn = angle < 0 ? angle / full + 1 : angle / full;
    const double light = static_cast<int>(turn * panel_count) % 2 == 0 ? 1 : 0.6;
    const auto channel = [&](int i) { return light * (0.5 + 0.5 * std::cos(angle - full * i / 3)); };
    return {channel(0), channel(1), channel(2)};
  }

  /// Writes height * width * 3 whole numbers in 0 .. 255: row by row, the three channels of a pixel next to each other.
  /// `from` lies inside the pool; `angle` is that of
  /// the heading, in radians.
  void draw(PlanePoint from, double angle, std::span<float> out) const {
    ICRL_ASSERT(out.size() == static_cast<std::size_t>(height_ * width_ * 3),
                "pool view: the picture must have height * width * 3 numbers");
    constexpr Color sky{0.75, 0.85, 0.95}, water{0.1, 0.3, 0.5};
    for (int column = 0; column < width_; ++column) {
      const Hit hit = cast(from, angle, column);
      const Color wall = wall_color(hit.wall);
      // In pixels above the horizon, which is the middle of the picture.
      const double top = focal_ * (wall_height - eye_height) / hit.depth, bottom = -focal_ * eye_height / hit.depth;
      for (int row = 0; row < height_; ++row) {
        const double upper = height_ / 2.0 - row, lower = upper - 1;
        const double above = std::clamp(upper - top, 0.0, 1.0), below = std::clamp(bottom - lower, 0.0, 1.0);
        for (std::size_t i = 0; i < 3; ++i) {
          const double mixed = above * sky[i] + below * water[i] + (1 - above - below) * wall[i];
          out[static_cast<std::size_t>((row * width_ + column) * 3) + i] = static_cast<float>(std::round(255 * mixed));
        }
      }
    }
  }

private:
  int height_, width_;
  double focal_;  // pixels per unit aside, one unit ahead
};

}  // namespace icrl
