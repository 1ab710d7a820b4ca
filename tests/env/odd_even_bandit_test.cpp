// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/odd_even_bandit.hpp>

#include <algorithm>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("Odd arms are the good ones in their share of the tasks, and good arms pay more than others", "[env]") {
  for (const double share : {0.0, 0.05, 0.95, 1.0}) {
    const OddEvenBandits bandits{{.arms = 5, .odd_share = share}};
    int odd = 0;
    for (int task = 0; task < 4000; ++task) {
      const BernoulliBandit bandit = bandits.make(task);
      const std::vector<double>& means = bandit.means();
      const bool is_odd = means[1] > 0.5;
      odd += is_odd;
      for (std::size_t arm = 0; arm < 5; ++arm) REQUIRE((means[arm] > 0.5) == ((arm % 2 == 1) == is_odd));
    }
    CHECK(odd / 4000.0 == Approx(share).margin(0.015));
  }
}

TEST_CASE("The share of odd tasks changes which arms are good, and nothing else", "[env]") {
  const OddEvenBandits odd{{.arms = 4, .odd_share = 1}}, even{{.arms = 4, .odd_share = 0}};
  for (int task = 0; task < 50; ++task) {
    const BernoulliBandit one = odd.make(task), other = even.make(task);
    for (std::size_t arm = 0; arm < 4; ++arm)
      CHECK(one.means()[arm] - other.means()[arm] == Approx(arm % 2 == 1 ? 0.5 : -0.5));
  }
}

TEST_CASE("The oracle of an odd-even bandit earns a good arm's mean, random pulls half of it and more", "[env]") {
  const OddEvenBandits bandits;
  double oracle = 0, random = 0;
  for (int task = 0; task < 4000; ++task) {
    const BernoulliBandit bandit = bandits.make(task);
    oracle += bandits.oracle_return(task) / 4000;
    random += bandits.random_return(task) / 4000;
    REQUIRE(bandits.oracle_return(task) == *std::max_element(bandit.means().begin(), bandit.means().end()));
  }

  CHECK(oracle == Approx(0.5 + 0.5 * 5 / 6).margin(0.005));  // the largest of five numbers in [0.5, 1]
  CHECK(random == Approx(0.5).margin(0.005));
}

TEST_CASE("What is no odd-even bandit is refused", "[env]") {
  CHECK(error_of([] { (void)OddEvenBandits{{.odd_share = 1.1}}; }) ==
        "odd-even bandits: odd_share is 1.1, it must lie in [0, 1]");
  CHECK(error_of([] { (void)OddEvenBandits{{.arms = 1}}; }) ==
        "odd-even bandits: arms is 1, it must lie in 2 .. 65535");
}
