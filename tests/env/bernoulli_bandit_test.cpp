// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/bernoulli_bandit.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <icrl/env/check_environment.hpp>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("A Bernoulli bandit keeps the promises of environments, and a pull does not allocate", "[env]") {
  const EnvironmentReport report = check_environment(BernoulliBandits{}.make(3));
  INFO(report.text());
  CHECK(report.ok());

  BernoulliBandit bandit{{0.5, 0.1}};
  Rng rng{0};
  const AllocationCount allocations;
  bandit.reset(rng);
  (void)bandit.step(1, rng);
  CHECK(allocations.count() == 0);
}

TEST_CASE("Each arm of a Bernoulli bandit pays as often as its mean says, and ends the episode", "[env]") {
  BernoulliBandit bandit{{0, 0.3, 1}};
  Rng rng{1};
  std::vector<double> paid(3);
  for (int i = 0; i < 20'000; ++i) {
    for (int arm = 0; arm < 3; ++arm) {
      bandit.reset(rng);
      const StepResult result = bandit.step(arm, rng);
      REQUIRE((result.terminated && !result.truncated));
      paid[static_cast<std::size_t>(arm)] += static_cast<double>(result.reward) / 20'000;
    }
  }

  CHECK(paid[0] == 0);
  CHECK(paid[1] == Approx(0.3).margin(0.015));
  CHECK(paid[2] == Approx(1));
}

TEST_CASE("Means of Bernoulli bandits are uniform, and follow from seed and task", "[env]") {
  const BernoulliBandits bandits{{.arms = 4}};
  double sum = 0, squares = 0;
  for (int task = 0; task < 5000; ++task) {
    for (const double mean : bandits.make(task).means()) {
      sum += mean / 20'000;
      squares += mean * mean / 20'000;
    }
  }

  CHECK(sum == Approx(0.5).margin(0.01));
  CHECK(squares - sum * sum == Approx(1.0 / 12).margin(0.002));
  CHECK(bandits.make(7).means() == bandits.make(7).means());
  CHECK(bandits.make(7).means() != bandits.make(8).means());
  CHECK(bandits.make(7).means() != BernoulliBandits{{.arms = 4, .seed = 1}}.make(7).means());
}

TEST_CASE("The oracle of a Bernoulli bandit pulls the best arm, and random pulls earn the mean of all", "[env]") {
  const BernoulliBandits bandits{{.arms = 3}};
  for (int task = 0; task < 20; ++task) {
    BernoulliBandit bandit = bandits.make(task);
    Rng rng{static_cast<std::uint64_t>(task)};
    std::vector<double> earned(3);
    for (int i = 0; i < 20'000; ++i) {
      for (int arm = 0; arm < 3; ++arm) {
        bandit.reset(rng);
        earned[static_cast<std::size_t>(arm)] += static_cast<double>(bandit.step(arm, rng).reward) / 20'000;
      }
    }
    CHECK(bandits.oracle_return(task) == Approx(std::ranges::max(earned)).margin(0.02));
    CHECK(bandits.random_return(task) == Approx((earned[0] + earned[1] + earned[2]) / 3).margin(0.01));
  }
}

TEST_CASE("What is no Bernoulli bandit is refused", "[env]") {
  CHECK(error_of([] { (void)BernoulliBandit{{0.5}}; }) == "bernoulli bandit: arms is 1, it must lie in 2 .. 65535");
  CHECK(error_of([] {
          (void)BernoulliBandit{{0.5, 1.5}};
        }) == "bernoulli bandit: a mean is 1.5, it must lie in [0, 1]");
  CHECK(has(error_of([] { (void)BernoulliBandit{{0.5, std::numeric_limits<double>::quiet_NaN()}}; }), "a mean is nan"));
  CHECK(error_of([] { (void)BernoulliBandits{{.arms = 0}}; }) ==
        "bernoulli bandits: arms is 0, it must lie in 2 .. 65535");
  CHECK(error_of([] { (void)BernoulliBandits{{.task_count = 0}}; }) ==
        "bernoulli bandits: task_count is 0, it must be at least 1");
}
