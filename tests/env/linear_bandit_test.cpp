// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/linear_bandit.hpp>

#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include <icrl/env/check_environment.hpp>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("A linear bandit keeps the promises of environments, and a pull does not allocate", "[env]") {
  LinearBandit bandit = LinearBandits{}.make(5);
  const EnvironmentReport report = check_environment(bandit);
  INFO(report.text());
  CHECK(report.ok());

  Rng rng{0};
  const AllocationCount allocations;
  bandit.reset(rng);
  (void)bandit.step(1, rng);
  CHECK(allocations.count() == 0);
}

TEST_CASE("An arm of a linear bandit pays the product of weights and context, plus noise", "[env]") {
  LinearBandit bandit{{.features = 2, .arms = 2, .reward_stddev = 0.5}, {1, 2, -3, 0.5}};
  const std::array<float, 2> by_hand{2, -1};
  CHECK(bandit.expected_reward(by_hand, 0) == 0);
  CHECK(bandit.expected_reward(by_hand, 1) == -6.5);

  Rng rng{1};
  std::array<float, 2> context{};
  double sum = 0, squares = 0, length = 0;
  for (int i = 0; i < 40'000; ++i) {
    bandit.reset(rng);
    bandit.observe(context);
    const double expected = bandit.expected_reward(context, 1);
    const double noise = static_cast<double>(bandit.step(1, rng).reward) - expected;
    sum += noise / 40'000;
    squares += noise * noise / 40'000;
    length += static_cast<double>(context[0] * context[0] + context[1] * context[1]) / 40'000;
  }
  CHECK(sum == Approx(0).margin(0.015));
  CHECK(squares == Approx(0.25).margin(0.01));
  CHECK(length == Approx(2).margin(0.06));
}

TEST_CASE("The oracle of a linear bandit with two arms earns what a normal difference gives", "[env]") {
  const LinearBandits bandits{{.features = 3, .arms = 2, .weight_stddev = 2}};
  for (int task = 0; task < 5; ++task) {
    const LinearBandit bandit = bandits.make(task);
    const std::vector<double>& w = bandit.weights();
    double squares = 0;
    for (std::size_t i = 0; i < 3; ++i) squares += (w[i] - w[i + 3]) * (w[i] - w[i + 3]);

    // The larger of two normal numbers with mean 0: half of the mean size of their difference.
    CHECK(bandits.oracle_return(task) == Approx(std::sqrt(squares / (2 * std::numbers::pi))).epsilon(0.02));
    CHECK(bandits.random_return(task) == 0);
  }
}

TEST_CASE("Weights of linear bandits are normal, and expected rewards vary by weight_stddev", "[env]") {
  const LinearBandits bandits{{.features = 4, .arms = 3, .weight_stddev = 2}};
  double squares = 0;
  for (int task = 0; task < 3000; ++task)
    for (const double weight : bandits.make(task).weights()) squares += weight * weight / (3000 * 3);

  CHECK(squares == Approx(4).margin(0.15));
}

TEST_CASE("What is no linear bandit is refused", "[env]") {
  CHECK(error_of([] { (void)LinearBandits{{.features = 0}}; }) ==
        "linear bandits: features is 0, it must lie in 1 .. 65536");
  CHECK(error_of([] { (void)LinearBandits{{.features = 65536, .arms = 65535}}; }) ==
        "linear bandits: 65535 arms of 65536 features are too many, at most 268435456 weights are allowed");
  CHECK(error_of([] {
          (void)LinearBandit{{.features = 2, .arms = 2}, {1, 2, 3}};
        }) == "linear bandit: there are 3 weights, 2 arms of 2 features need 4");
  CHECK(error_of([] {
          (void)LinearBandit{{.features = 1, .arms = 2}, {1, std::numeric_limits<double>::infinity()}};
        }) == "linear bandit: a weight is inf, it must lie in [-1e30, 1e30]");
}
