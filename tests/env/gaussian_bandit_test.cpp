// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/gaussian_bandit.hpp>

#include <algorithm>
#include <limits>
#include <vector>

#include <icrl/env/check_environment.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("A Gaussian bandit keeps the promises of environments", "[env]") {
  const EnvironmentReport report = check_environment(GaussianBandits{}.make(5));
  INFO(report.text());
  CHECK(report.ok());
}

TEST_CASE("An arm of a Gaussian bandit pays its mean with the noise that was asked for", "[env]") {
  GaussianBandit bandit{{-1, 2}, 0.5};
  Rng rng{1};
  double sum = 0, squares = 0;
  for (int i = 0; i < 40'000; ++i) {
    bandit.reset(rng);
    const double reward = static_cast<double>(bandit.step(1, rng).reward);
    sum += reward / 40'000;
    squares += reward * reward / 40'000;
  }

  CHECK(sum == Approx(2).margin(0.015));
  CHECK(squares - sum * sum == Approx(0.25).margin(0.01));
}

TEST_CASE("Means of Gaussian bandits are normal, and the returns are those of the best and of all arms", "[env]") {
  const GaussianBandits bandits{{.arms = 4, .mean_stddev = 3}};
  double sum = 0, squares = 0;
  for (int task = 0; task < 5000; ++task) {
    const GaussianBandit bandit = bandits.make(task);
    double all = 0;
    for (const double mean : bandit.means()) {
      all += mean;
      squares += mean * mean / 20'000;
    }
    sum += all / 20'000;
    REQUIRE(bandits.random_return(task) == Approx(all / 4).margin(1e-12));
    REQUIRE(bandits.oracle_return(task) == std::ranges::max(bandit.means()));
  }

  CHECK(sum == Approx(0).margin(0.08));
  CHECK(squares == Approx(9).margin(0.3));
}

TEST_CASE("What is no Gaussian bandit is refused", "[env]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(error_of([&] {
          (void)GaussianBandit{{0, nan}, 1};
        }) == "gaussian bandit: a mean is nan, it must lie in [-1e30, 1e30]");
  CHECK(error_of([] { (void)GaussianBandits{{.reward_stddev = -1}}; }) ==
        "gaussian bandits: reward_stddev is -1, it must lie in [0, 1e6]");
  CHECK(error_of([&] { (void)GaussianBandits{{.mean_stddev = nan}}; }) ==
        "gaussian bandits: mean_stddev is nan, it must lie in [0, 1e6]");
}
