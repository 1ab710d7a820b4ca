// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/eval/plot.hpp>

#include <limits>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("A plot's frame covers lines, bands and levels with round marks", "[eval]") {
  const Plot plot{.series = {{.name = "a", .y = {1, 4}, .band = {{0.5, 2}, {3, 11.5}}}}, .levels = {{"oracle", 17}}};

  const detail::PlotFrame frame = detail::frame_of(plot);

  CHECK(frame.x_last == 2);
  CHECK(frame.y_low == 0);
  CHECK(frame.y_high == 20);
  CHECK(frame.y_marks() == std::vector<double>{0, 5, 10, 15, 20});
}

TEST_CASE("A frame reaches below zero where values do, and has a height where they have none", "[eval]") {
  const detail::PlotFrame below = detail::frame_of({.series = {{.name = "a", .y = {-3, 2}}}});
  const detail::PlotFrame flat = detail::frame_of({.series = {{.name = "a", .y = {0, 0}}}});

  CHECK(below.y_low <= -3);
  CHECK(flat.y_high > flat.y_low);
}

TEST_CASE("Plots that cannot be drawn are errors", "[eval]") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(validate(Plot{}), Error);
  CHECK_THROWS_AS(validate(Plot{.series = {{.name = "empty"}}}), Error);
  CHECK_THROWS_AS(validate(Plot{.series = {{.name = "a", .y = {1, nan}}}}), Error);
  CHECK_THROWS_AS(validate(Plot{.series = {{.name = "a", .y = {1, 2}, .band = {{0, 1}}}}}), Error);
  CHECK_THROWS_AS(validate(Plot{.series = {{.name = "a", .y = {1}}}, .levels = {{"oracle", nan}}}), Error);
}
