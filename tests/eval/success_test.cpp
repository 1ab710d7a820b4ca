// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/eval/success.hpp>

#include <algorithm>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// Two tasks, two runs of five episodes.
LearningCurves example_curves() {
  LearningCurves curves{{7, 9}, 2, 5};
  const std::vector<std::vector<double>> returns{
      {0, 3, 0, 2, 1},  // found in the second episode, kept in two of the three after it
      {0, 0, 0, 0, 0},  // never
      {0, 0, 0, 0, 5},  // found too late to be kept or lost
      {1, 0, 0, 0, 0},  // kept in none of four
  };
  for (int i = 0; i < 4; ++i)
    std::ranges::copy(returns[static_cast<std::size_t>(i)], curves.returns(i / 2, i % 2).begin());
  return curves;
}

}  // namespace

TEST_CASE("Ever found and kept after the first success, by hand", "[eval]") {
  const auto by_task = successes_by_task(example_curves());
  const SuccessCounts all = successes(example_curves());

  REQUIRE(by_task.size() == 2);
  CHECK(by_task[0].ever_found() == 0.5);
  CHECK(by_task[0].kept_after_first_success() == 2.0 / 3);
  CHECK(by_task[1].ever_found() == 1.0);
  CHECK(by_task[1].kept_after_first_success() == 0.0);
  CHECK(all.ever_found() == 0.75);
  CHECK(all.kept_after_first_success() == 2.0 / 7);
}

TEST_CASE("A success exceeds the threshold", "[eval]") {
  const SuccessCounts all = successes(example_curves(), 1);

  CHECK(all.found == 2);
  CHECK(all.later_episodes == 3);
  CHECK(all.kept == 1);
}

TEST_CASE("What was never found was neither kept nor lost", "[eval]") {
  const SuccessCounts none = successes(example_curves(), 100);

  CHECK(none.ever_found() == 0.0);
  CHECK_FALSE(none.kept_after_first_success().has_value());
}

TEST_CASE("No runs have no share", "[eval]") {
  CHECK(has(error_of([] {
              (void)successes(LearningCurves{{}, 1, 3}).ever_found();
            }),
            "SuccessCounts: there are no runs, ever_found() needs at least one"));
  CHECK(error_of([] {
          (void)successes(LearningCurves{{1}, 1, 3}, std::numeric_limits<double>::quiet_NaN());
        }) == "successes: threshold is nan, it must be a number");
}
