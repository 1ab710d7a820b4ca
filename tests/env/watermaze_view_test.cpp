// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/watermaze_view.hpp>

#include <cmath>
#include <cstddef>
#include <numbers>
#include <vector>

#include "support/catch.hpp"

using namespace icrl;

namespace {

constexpr double pi = std::numbers::pi;

std::vector<float> drawn(int height, int width, PlanePoint from, double angle) {
  std::vector<float> out(static_cast<std::size_t>(height * width * 3));
  PoolView{height, width}.draw(from, angle, out);
  return out;
}

/// Pixels of a column whose blue is neither the sky's nor the water's.
int wall_pixels(const std::vector<float>& image, int height, int width, int column) {
  int count = 0;
  for (int row = 0; row < height; ++row) {
    const float green = image[static_cast<std::size_t>((row * width + column) * 3 + 1)];
    count += green == std::round(255 * 0.85f) || green == std::round(255 * 0.3f) ? 0 : 1;
  }
  return count;
}

}  // namespace

TEST_CASE("A ray meets the wall where small steps along it leave the pool", "[env]") {
  constexpr int width = 32;
  const PoolView view{24, width};
  for (const PlanePoint from : {PlanePoint{0, 0}, PlanePoint{0.5, -0.6}, PlanePoint{-0.95, 0}}) {
    for (const double angle : {0.0, 1.0, 3.0, 5.5}) {
      for (const int column : {0, 7, 15, 16, 31}) {
        // A column lies atan(tan(45 degrees) * its share of half the width) to the left of the heading.
        const double aside = 1 - (2.0 * column + 1) / width, direction = angle + std::atan(aside);
        double length = 0;
        while (std::hypot(from.x + length * std::cos(direction), from.y + length * std::sin(direction)) < 1)
          length += 1e-4;

        const PoolView::Hit hit = view.cast(from, angle, column);

        CHECK(hit.wall.x == Approx(from.x + length * std::cos(direction)).margin(3e-4));
        CHECK(hit.wall.y == Approx(from.y + length * std::sin(direction)).margin(3e-4));
        CHECK(hit.depth == Approx(length * std::cos(direction - angle)).margin(3e-4));
      }
    }
  }
}

TEST_CASE("A picture has whole numbers of 0 to 255, water below and sky above", "[env]") {
  const auto seen = drawn(24, 32, {0.1, 0.2}, 2);
  for (const float number : seen) CHECK((number >= 0 && number <= 255 && number == std::round(number)));
  for (const int column : {0, 16, 31}) {
    const std::size_t top = static_cast<std::size_t>(column) * 3, bottom = top + 23 * 32 * 3;
    CHECK(seen[top] == std::round(255 * 0.75f));
    CHECK(seen[bottom] == std::round(255 * 0.1f));
  }
}

TEST_CASE("The wall is higher in the picture the nearer it is, by the law of perspective", "[env]") {
  constexpr int height = 96, width = 128, middle = 64;
  // Focal length: half the width at 90 degrees. From the center the wall is 1 away.
  const double expected = width / 2.0 * PoolView::wall_height;
  const int far = wall_pixels(drawn(height, width, {0, 0}, 0.1), height, width, middle);
  const int near =
      wall_pixels(drawn(height, width, {0.5 * std::cos(0.1), 0.5 * std::sin(0.1)}, 0.1), height, width, middle);
  CHECK(far == Approx(expected).margin(2));
  CHECK(near == Approx(2 * expected).margin(2));
}

TEST_CASE("The wall's colors tell directions apart, and turning left moves the picture to the right", "[env]") {
  std::vector<PoolView::Color> colors;
  for (int i = 0; i < 64; ++i) {
    const double angle = 2 * pi * (i + 0.5) / 64;
    colors.push_back(PoolView::wall_color({std::cos(angle), std::sin(angle)}));
  }
  for (std::size_t i = 0; i < colors.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      double difference = 0;
      for (std::size_t c = 0; c < 3; ++c) difference += std::abs(colors[i][c] - colors[j][c]);
      CHECK(difference > 0.02);
    }
  }
  // The ray of column 31 at heading 0 goes as far to the right as that of the middle does after a right turn of as
  // much.
  const PoolView view{24, 32};
  const double aside = 15.5 / 16, turn = std::atan(aside) - std::atan(0.5 / 16);
  const PlanePoint right = view.cast({}, 0, 31).wall, ahead = view.cast({}, -turn, 16).wall;
  CHECK(right.x == Approx(ahead.x));
  CHECK(right.y == Approx(ahead.y));
  CHECK(right.y < 0);
  CHECK(drawn(24, 32, {0.2, 0.1}, 0.3) == drawn(24, 32, {0.2, 0.1}, 0.3 + 2 * pi));
}

TEST_CASE("A move of a hundredth of the pool changes the picture", "[env]") {
  for (const PlanePoint to : {PlanePoint{0.01, 0}, PlanePoint{0, 0.01}, PlanePoint{-0.01, 0}, PlanePoint{0, -0.01}})
    CHECK(drawn(24, 32, {0, 0}, 0) != drawn(24, 32, to, 0));
}
