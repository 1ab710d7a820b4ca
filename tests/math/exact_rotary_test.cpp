// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/math/exact_rotary.hpp>

#include <cmath>
#include <cstddef>
#include <vector>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("Exact rotary positions turn pairs by position * 10000^(-2i/D)", "[math]") {
  constexpr Index size = 6, positions = 3000;
  const ExactRotary rotary{positions, size};
  for (const Index t : {0, 1, 2, 17, 1000, 2999}) {
    std::vector<float> row{1, 0, -2, 0.5f, 3, 1, 0, 1, 0, 1, 0, 0};
    const std::vector<float> before = row;

    rotary.rotate(row.data(), 2 * size, t);

    for (std::size_t head = 0; head < 12; head += 6) {
      for (std::size_t i = 0; i < 3; ++i) {
        const double angle = static_cast<double>(t) * std::pow(10000.0, -2.0 * static_cast<double>(i) / size);
        const double a = static_cast<double>(before[head + i]), b = static_cast<double>(before[head + 3 + i]);
        CHECK(std::abs(static_cast<double>(row[head + i]) - (a * std::cos(angle) - b * std::sin(angle))) < 1e-6);
        CHECK(std::abs(static_cast<double>(row[head + 3 + i]) - (a * std::sin(angle) + b * std::cos(angle))) < 1e-6);
      }
    }
  }
  CHECK(ExactRotary{}.empty());
  CHECK_FALSE(rotary.empty());
}
