// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/math/square_root.hpp>

#include <array>
#include <cmath>
#include <limits>

#include <icrl/core/rng.hpp>

#include "support/catch.hpp"

using namespace icrl;
using namespace icrl::detail;

TEMPLATE_TEST_CASE("Square roots of packets are those of the standard library", "[math]", float, double) {
  using S = TestType;
  using Limits = std::numeric_limits<S>;
  Rng rng{1};
  const std::array<S, 6> special{S(0), S(1), Limits::denorm_min(), Limits::min(), Limits::max(), Limits::infinity()};
  for (std::size_t i = 0; i < 5000; ++i) {
    std::array<S, lane_count<S>> numbers, roots;
    for (S& number : numbers)
      number = i < special.size() ? special[i] : static_cast<S>(std::exp(80 * rng.uniform() - 40));
    store(roots.data(), square_root<S>(load(numbers.data())));
    for (std::size_t k = 0; k < numbers.size(); ++k) CHECK(roots[k] == std::sqrt(numbers[k]));
  }
}
