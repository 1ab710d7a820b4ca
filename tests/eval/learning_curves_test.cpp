// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/eval/learning_curves.hpp>

#include <limits>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/histories.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// Two tasks, two runs, three episodes: the return is 100 task + 10 run + episode.
LearningCurves telling_curves() {
  LearningCurves curves{{7, 9}, 2, 3};
  for (int task = 0; task < 2; ++task)
    for (int run = 0; run < 2; ++run)
      for (int e = 0; e < 3; ++e) curves.returns(task, run)[static_cast<std::size_t>(e)] = 100 * task + 10 * run + e;
  return curves;
}

template <typename C>
concept GivesSpans = requires(C&& curves) {
  std::forward<C>(curves).tasks();
  std::forward<C>(curves).returns(0, 0);
};

}  // namespace

TEST_CASE("Curves are averaged over the axis that is asked for", "[eval]") {
  const LearningCurves curves = telling_curves();

  CHECK(curves.mean_by_episode() == std::vector<double>{55, 56, 57});
  CHECK(curves.mean_by_task(1, 3) == std::vector<double>{6, 106});
  CHECK(curves.mean_by_task(3, 3) == std::vector<double>{7, 107});
}

TEST_CASE("Returns come from histories, and longer histories are cut", "[eval]") {
  LearningCurves curves{{0}, 1, 2};
  const LearningHistory longer = telling_history(0, {2, 1, 3}), shorter = telling_history(0, {2});

  set_returns(curves, 0, 0, longer.view());

  CHECK(curves.returns(0, 0)[0] == Approx(telling_reward(0, 0) + telling_reward(0, 1)));
  CHECK(curves.returns(0, 0)[1] == Approx(telling_reward(1, 0)));
  CHECK_THROWS_AS(set_returns(curves, 0, 0, shorter.view()), Error);
}

TEST_CASE("Joined curves hold the tasks of both in order", "[eval]") {
  const LearningCurves both = joined(telling_curves(), telling_curves());

  CHECK(both.task_count() == 4);
  CHECK(both.tasks()[3] == 9);
  CHECK(both.returns(3, 1)[2] == 112);
  CHECK(both.mean_by_episode() == telling_curves().mean_by_episode());
  CHECK_THROWS_AS(joined(telling_curves(), LearningCurves({1}, 2, 4)), Error);
}

TEST_CASE("Episodes that curves do not have are errors", "[eval]") {
  const LearningCurves curves = telling_curves();
  CHECK_THROWS_AS(curves.mean_by_task(0, 2), Error);
  CHECK_THROWS_AS(curves.mean_by_task(3, 2), Error);
  CHECK_THROWS_AS(curves.mean_by_task(2, 4), Error);
  CHECK_THROWS_AS(LearningCurves({1}, -1, 4), Error);
  const LearningCurves no_runs{{1}, 0, 4};
  CHECK(error_of([&] { (void)no_runs.mean_by_task(1, 4); }) ==
        "learning curves: there are no runs, a mean needs at least one");
}

TEST_CASE("Temporary curves give no spans of what goes with them", "[eval]") {
  STATIC_REQUIRE(GivesSpans<LearningCurves&>);
  STATIC_REQUIRE(GivesSpans<const LearningCurves&>);
  STATIC_REQUIRE_FALSE(GivesSpans<LearningCurves>);
}

TEST_CASE("More returns than can be counted are refused", "[eval]") {
  constexpr int most = std::numeric_limits<int>::max();
  CHECK(has(error_of([] {
              LearningCurves{{1, 2, 3, 4}, most, most};
            }),
            "4 tasks x 2147483647 runs x 2147483647 episodes"));
}
