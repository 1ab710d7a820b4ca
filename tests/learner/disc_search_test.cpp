// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/disc_search.hpp>

#include <algorithm>
#include <cmath>

#include <icrl/core/rng.hpp>

#include "support/catch.hpp"

using namespace icrl;

namespace {

DiscSearch whole_square(double radius) {
  return {radius, [](PlanePoint center, double off_grid) {
            return std::max(std::abs(center.x), std::abs(center.y)) <= 1 + off_grid;
          }};
}

PlanePoint random_place(Rng& rng) {
  const double x = 2 * rng.uniform() - 1;
  return {x, 2 * rng.uniform() - 1};
}

}  // namespace

TEST_CASE("The grid of a disc search has a point near every place of the square, the corners too", "[learner]") {
  Rng rng{1};
  for (const double radius : {0.07, 0.2, 0.31}) {
    const DiscSearch search = whole_square(radius);
    for (int i = 0; i < 200; ++i) {
      const PlanePoint place = i < 4 ? PlanePoint{i < 2 ? 1.0 : -1.0, i % 2 == 0 ? 1.0 : -1.0} : random_place(rng);
      double nearest = 2;
      for (const PlanePoint center : search.centers()) nearest = std::min(nearest, distance(center, place));
      CHECK(nearest <= DiscSearch::off_grid(radius) + 1e-12);
    }
  }
}

TEST_CASE("What a disc search rules out never has the true center's nearest point among it", "[learner]") {
  constexpr double radius = 0.15;
  Rng rng{2};
  for (int task = 0; task < 50; ++task) {
    const PlanePoint hidden = task == 0 ? PlanePoint{1, -1} : random_place(rng);
    DiscSearch search = whole_square(radius);
    for (int i = 0; i < 300; ++i) {
      const PlanePoint place = random_place(rng);
      const std::size_t before = search.centers().size();
      const auto covered = static_cast<std::size_t>(search.covered_from(place));
      const bool is_paid = distance(place, hidden) <= radius;
      search.note(place, is_paid);
      if (!is_paid) CHECK(search.centers().size() == before - covered);
      CHECK(std::ranges::any_of(search.centers(), [&](PlanePoint center) {
        return distance(center, hidden) <= DiscSearch::off_grid(radius) + 1e-12;
      }));
    }
    if (search.is_found()) CHECK(distance(search.target({}), hidden) < radius);
  }
}

TEST_CASE("A disc search goes to the nearest center that is left, and once paid to the middle of them", "[learner]") {
  DiscSearch search = whole_square(0.2);
  CHECK_FALSE(search.is_found());
  CHECK(distance(search.target({0.51, 0.49}), {0.51, 0.49}) <= DiscSearch::off_grid(0.2));
  search.note({0, 0}, false);
  const PlanePoint next = search.target({0, 0});
  CHECK(distance(next, {0, 0}) > 0.2 - DiscSearch::off_grid(0.2));
  CHECK(distance(next, {0, 0}) < 0.2 + DiscSearch::off_grid(0.2));

  search.note({0.5, 0.5}, true);
  CHECK(search.is_found());
  CHECK(search.target({0, 0}).x == Approx(0.5));
  CHECK(search.target({0, 0}).y == Approx(0.5));
  search.note({0.5, 0.65}, false);
  CHECK(search.target({0, 0}).y < 0.46);
  search.note({0.5, 0.5}, false);
  search.note({0.5, 0.3}, false);
  CHECK(search.centers().size() < 20);
}
