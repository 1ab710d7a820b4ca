// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/eval/statistics.hpp>

#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("Mean and interquartile mean by hand", "[eval]") {
  CHECK(mean(std::vector<double>{1, 2, 6}) == 3);
  CHECK(interquartile_mean(std::vector<double>{-100, 2, 4, 1000}) == 3);
  // Of five values the middle half is three quarters of the second and the fourth, and the third: (0.75 * 1 + 2 + 0.75
  // * 3) / 2.5.
  CHECK(interquartile_mean(std::vector<double>{50, 0, 1, 2, 3}) == Approx(2));
  CHECK(interquartile_mean(std::vector<double>{7}) == 7);
}

TEST_CASE("A bootstrap interval of the mean covers the truth about as often as it says", "[eval]") {
  int covered = 0;
  constexpr int trials = 300;
  for (int trial = 0; trial < trials; ++trial) {
    Rng rng{static_cast<std::uint64_t>(trial), 9};
    std::vector<double> values(40);
    for (double& value : values) value = 3 + rng.normal();
    const Interval interval =
        bootstrap_interval(values, mean, {.resamples = 400, .seed = static_cast<std::uint64_t>(trial)});
    covered += interval.low <= 3 && 3 <= interval.high;
  }

  CHECK(covered > 0.90 * trials);
  CHECK(covered < 0.985 * trials);
}

TEST_CASE("What runs have in common widens the interval", "[eval]") {
  const std::vector<double> values{1, 1, 1, 1, 5, 5, 5, 5};  // two models, four tasks each
  const Interval independent = bootstrap_interval(values, mean),
                 clustered = bootstrap_interval(values, mean, {.clusters = 2});

  CHECK(clustered.low == 1);
  CHECK(clustered.high == 5);
  CHECK(independent.low > 1);
  CHECK(independent.high < 5);
  CHECK(has(error_of([&] { (void)bootstrap_interval(values, mean, {.clusters = 3}); }),
            "8 values cannot be divided into 3 clusters"));
}

TEST_CASE("A bootstrap interval depends on its seed alone and shrinks to a point for equal values", "[eval]") {
  const std::vector<double> values{1, 5, 2, 8, 3};

  const Interval one = bootstrap_interval(values, mean, {.seed = 4}),
                 same = bootstrap_interval(values, mean, {.seed = 4});
  const Interval point = bootstrap_interval(std::vector<double>{2, 2, 2}, mean);

  CHECK(one.low == same.low);
  CHECK(one.high == same.high);
  CHECK(one.low < mean(values));
  CHECK(mean(values) < one.high);
  CHECK(point.low == 2);
  CHECK(point.high == 2);
}

TEST_CASE("A wider level gives a wider interval", "[eval]") {
  const std::vector<double> values{1, 5, 2, 8, 3, 9, 4};

  const Interval narrow = bootstrap_interval(values, mean, {.level = 0.5}),
                 wide = bootstrap_interval(values, mean, {.level = 0.99});

  CHECK(wide.low < narrow.low);
  CHECK(narrow.high < wide.high);
}

TEST_CASE("Statistics of nothing are errors", "[eval]") {
  const std::vector<double> none;
  CHECK_THROWS_AS(mean(none), Error);
  CHECK_THROWS_AS(interquartile_mean(none), Error);
  CHECK_THROWS_AS(bootstrap_interval(none, mean), Error);
  CHECK_THROWS_AS(bootstrap_interval(std::vector<double>{1}, mean, {.resamples = 0}), Error);
  CHECK_THROWS_AS(bootstrap_interval(std::vector<double>{1}, mean, {.level = 1}), Error);
}

TEST_CASE("Values and statistics that are not finite are errors", "[eval]") {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  const std::vector<double> values{1, nan, 3}, sound{1, 2, 3};
  const auto lost = [&](std::span<const double> drawn) { return mean(drawn) > 2 ? infinity : 0.0; };

  CHECK(error_of([&] { (void)interquartile_mean(values); }) == "interquartile mean: value 1 is nan, it must be finite");
  CHECK(error_of([&] { (void)bootstrap_interval(values, mean); }) == "bootstrap: value 1 is nan, it must be finite");
  CHECK(has(error_of([&] { (void)bootstrap_interval(sound, lost); }), " is inf"));
  CHECK_THROWS_AS(estimate_mean(std::vector<double>{-infinity, 0}), Error);
}
