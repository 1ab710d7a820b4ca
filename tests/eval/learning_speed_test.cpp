// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/eval/learning_speed.hpp>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// Two tasks, two runs of four episodes. The oracle earns 4 on the first and 2 on the second.
LearningCurves speed_curves() {
  LearningCurves curves{{1, 2}, 2, 4};
  const std::vector<std::vector<double>> returns{{0, 2, 4, 4}, {0, 4, 2, 4}, {0, 0, 1, 1}, {1, 1, 1, 2}};
  for (int i = 0; i < 4; ++i)
    std::ranges::copy(returns[static_cast<std::size_t>(i)], curves.returns(i / 2, i % 2).begin());
  return curves;
}
const ReferenceReturns speed_references{.oracle = {4, 2}, .random = {}};

}  // namespace

TEST_CASE("NAUC is the mean return over all episodes by the oracle's", "[eval]") {
  const Estimate nauc = estimate_nauc(speed_curves(), speed_references);

  CHECK(nauc.value == Approx((20 + 7) / 16.0 / 3));
  CHECK((nauc.interval.low <= nauc.value && nauc.value <= nauc.interval.high));
}

TEST_CASE("Episodes until a target count from 1, and are none if it is never reached", "[eval]") {
  const std::vector<double> returns{0, 3, 0, 2, 2, 5};

  CHECK(episodes_until(returns, 3) == 2);
  CHECK(episodes_until(returns, 0) == 1);
  CHECK(episodes_until(returns, 2, 2) == 5);    // episodes 4 and 5
  CHECK(episodes_until(returns, 1.5, 2) == 2);  // episodes 1 and 2
  CHECK(episodes_until(returns, 6) == std::nullopt);
  CHECK(episodes_until(returns, 0, 7) == std::nullopt);
  CHECK(error_of([&] { (void)episodes_until(returns, 0, 0); }) ==
        "episodes_until: episodes is 0, it must be at least 1");
  CHECK(error_of([&] { (void)episodes_until(returns, std::nan("")); }) ==
        "episodes_until: target is nan, it must be a number");
}

TEST_CASE("A target that equal returns reach is not missed by rounding", "[eval]") {
  CHECK(episodes_until(std::vector<double>(3, 0.7), 0.7, 3) == 3);  // (0.7 + 0.7 + 0.7) / 3 is less than 0.7
  CHECK(episodes_until(std::vector<double>(3, 0.7), 0.7001, 3) == std::nullopt);
  for (int runs = 1; runs <= 64; ++runs) {
    LearningCurves curves{{0}, runs, 1};
    for (int run = 0; run < runs; ++run) curves.returns(0, run)[0] = 1;
    CHECK(episodes_until_share_by_task(curves, {.oracle = {1}, .random = {}}, 1).front() == 1);
  }
  const LearningCurves none{{0}, 0, 1};
  CHECK(has(error_of([&] { (void)episodes_until_share_by_task(none, {.oracle = {1}, .random = {}}, 1); }),
            "there are no runs"));
}

TEST_CASE("Episodes until a share of the oracle, of all tasks and of each", "[eval]") {
  // Means over runs: 0 3 3 4 and 0.5 0.5 1 1.5; over tasks 0.25 1.75 2 2.75.
  CHECK(episodes_until_share(speed_curves(), speed_references, 0.6) == 3);
  CHECK(episodes_until_share(speed_curves(), speed_references, 0.95) == std::nullopt);
  CHECK(episodes_until_share_by_task(speed_curves(), speed_references, 0.75) == std::vector<std::optional<int>>{2, 4});
  CHECK(episodes_until_share_by_task(speed_curves(), speed_references, 0.9) ==
        std::vector<std::optional<int>>{4, std::nullopt});
}
