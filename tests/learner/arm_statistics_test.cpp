// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/arm_statistics.hpp>

#include <utility>
#include <vector>

#include <icrl/core/rng.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("Arm statistics count every pull without a window", "[learner]") {
  ArmStatistics arms{3, 0, "test"};
  arms.add(1, 0.5);
  arms.add(1, 0.25);
  arms.add(2, 1);

  CHECK(arms.total() == 3);
  CHECK(arms.count(0) == 0);
  CHECK(arms.count(1) == 2);
  CHECK(arms.sum(1) == 0.75);
  CHECK(arms.sum(2) == 1);
}

TEST_CASE("With a window, arm statistics are those of the last pulls", "[learner]") {
  constexpr int window = 5;
  ArmStatistics arms{3, window, "test"};
  std::vector<std::pair<int, double>> pulls;
  Rng rng{1};
  for (int i = 0; i < 60; ++i) {
    pulls.emplace_back(rng.below(3), rng.uniform());
    arms.add(pulls.back().first, pulls.back().second);

    std::vector<int> counts(3);
    std::vector<double> sums(3);
    const std::size_t first = pulls.size() > window ? pulls.size() - window : 0;
    for (std::size_t j = first; j < pulls.size(); ++j) {
      ++counts[static_cast<std::size_t>(pulls[j].first)];
      sums[static_cast<std::size_t>(pulls[j].first)] += pulls[j].second;
    }
    REQUIRE(arms.total() == static_cast<int>(pulls.size() - first));
    for (int arm = 0; arm < 3; ++arm) {
      REQUIRE(arms.count(arm) == counts[static_cast<std::size_t>(arm)]);
      REQUIRE(arms.sum(arm) == Approx(sums[static_cast<std::size_t>(arm)]).margin(1e-12));
    }
  }
}

TEST_CASE("Arm statistics of no arms or a negative window are refused", "[learner]") {
  CHECK(error_of([] { ArmStatistics(0, 0, "test"); }) == "test: arms is 0, it must be at least 1");
  CHECK(error_of([] { ArmStatistics(2, -1, "test"); }) ==
        "test: window is -1, it must lie in 0 (all pulls) .. 16777216");
}
