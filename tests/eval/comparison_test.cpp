// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/eval/comparison.hpp>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <icrl/env/dark_room.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// Three tasks of one run and four episodes; task i returns `values[i]` always.
LearningCurves constant_curves(const std::vector<double>& values) {
  LearningCurves curves{{3, 5, 8}, 1, 4};
  for (int task = 0; task < 3; ++task)
    for (double& value : curves.returns(task, 0)) value = values[static_cast<std::size_t>(task)];
  return curves;
}

/// The same, but growing: in episode e task i returns e * values[i].
LearningCurves rising_curves(const std::vector<double>& values) {
  LearningCurves curves = constant_curves(values);
  for (int task = 0; task < 3; ++task)
    for (std::size_t e = 0; e < 4; ++e) curves.returns(task, 0)[e] *= static_cast<double>(e + 1);
  return curves;
}

const ReferenceReturns sample_references{.oracle = {10, 20, 10}, .random = {0, 10, 5}};

}  // namespace

TEST_CASE("Shares are of the oracle on the same tasks", "[eval]") {
  CHECK(share_of_oracle(constant_curves({10, 20, 10}), sample_references, 1, 4) == Approx(1));
  CHECK(share_of_oracle(constant_curves({5, 10, 5}), sample_references, 2, 3) == Approx(0.5));
  CHECK(share_of_oracle(constant_curves({0, 20, 0}), sample_references, 1, 1) == Approx(0.5));
  CHECK(share_of_oracle(rising_curves({2, 4, 2}), sample_references, 1, 1) == Approx(0.2));
  CHECK(share_of_oracle(rising_curves({2, 4, 2}), sample_references, 3, 4) == Approx(0.7));
  CHECK(estimate_share_of_oracle(rising_curves({2, 4, 2}), sample_references, 3, 4).interval.low == Approx(0.7));
  CHECK(normalized_by_task(rising_curves({2, 5, 2}), sample_references, 3, 3) == std::vector<double>{0.6, 0.5, 0.2});
}

TEST_CASE("A share's interval takes each task with its own oracle", "[eval]") {
  const Estimate even = estimate_share_of_oracle(constant_curves({5, 10, 5}), sample_references, 1, 4);
  const Estimate uneven = estimate_share_of_oracle(constant_curves({10, 10, 0}), sample_references, 1, 4);

  CHECK(even.value == Approx(0.5));
  CHECK(even.interval.low == Approx(0.5));
  CHECK(even.interval.high == Approx(0.5));
  CHECK(uneven.value == Approx(0.5));
  CHECK(uneven.interval.low == Approx(0));
  CHECK(uneven.interval.high == Approx(1));
}

TEST_CASE("Normalized scores run from random actions to the oracle, task by task", "[eval]") {
  const auto scores = normalized_by_task(constant_curves({5, 10, 10}), sample_references, 1, 4);

  CHECK(scores == std::vector<double>{0.5, 0, 1});
  CHECK_THROWS_AS(normalized_by_task(constant_curves({1, 1, 1}), {.oracle = {1, 1, 1}, .random = {0, 1, 0}}, 1, 4),
                  Error);
}

TEST_CASE("Tasks at or below the share are named as not learned", "[eval]") {
  CHECK(unlearned_tasks(constant_curves({5, 11, 0}), sample_references, 1, 4) == std::vector<int>{3, 8});
  CHECK(unlearned_tasks(constant_curves({9, 19, 9}), sample_references, 1, 4).empty());
  CHECK(unlearned_tasks(rising_curves({2, 4, 2}), sample_references, 1, 2).size() == 3);
  CHECK(unlearned_tasks(rising_curves({2, 4, 2}), sample_references, 3, 4).empty());
}

TEST_CASE("Where returns are costs, shares are refused and normalized scores order learners rightly", "[eval]") {
  const ReferenceReturns costs{.oracle = {-10, -10, -10}, .random = {-100, -100, -100}};
  const LearningCurves perfect = constant_curves({-10, -10, -10}), good = constant_curves({-20, -20, -20}),
                       random = constant_curves({-100, -100, -100});
  const auto is_refused = [](const std::string& error) {
    return has(error, "the oracle of task 3 earns -10, but a share of the oracle needs a positive return") &&
           has(error, "normalized_by_task");
  };

  CHECK(is_refused(error_of([&] { (void)share_of_oracle(perfect, costs, 1, 2); })));
  CHECK(is_refused(error_of([&] { (void)estimate_share_of_oracle(perfect, costs, 1, 2); })));
  CHECK(is_refused(error_of([&] { (void)unlearned_tasks(perfect, costs, 1, 2); })));

  CHECK(estimate_normalized_score(perfect, costs, 1, 2).value == 1);
  CHECK(estimate_normalized_score(good, costs, 1, 2).value == Approx(80.0 / 90));
  CHECK(estimate_normalized_score(random, costs, 1, 2).value == 0);
  CHECK(unlearned_tasks_by_score(perfect, costs, 1, 2).empty());
  CHECK(unlearned_tasks_by_score(good, costs, 1, 2).empty());
  CHECK(unlearned_tasks_by_score(constant_curves({-10, -55, -56}), costs, 1, 2) == std::vector<int>{5, 8});
  CHECK(unlearned_tasks_by_score(good, costs, 1, 2, 0.9).size() == 3);
}

TEST_CASE("A share takes a positive, finite oracle on every task", "[eval]") {
  const LearningCurves curves = constant_curves({0, 5, 1});
  for (const double other : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    const ReferenceReturns references{.oracle = {10, other, 1}, .random = {0, -5, 0}};
    CHECK(has(error_of([&] { (void)share_of_oracle(curves, references, 1, 4); }), "the oracle of task 5 earns"));
    CHECK(has(error_of([&] { (void)unlearned_tasks(curves, references, 1, 4); }), "the oracle of task 5 earns"));
  }
  CHECK(normalized_by_task(constant_curves({0, -1, 0}), {.oracle = {1, 0, 1}, .random = {0, -5, 0}}, 1, 4)[1] == 0.8);
}

TEST_CASE("References of other tasks than the curves' are refused", "[eval]") {
  const LearningCurves curves = constant_curves({1, 1, 1});
  const ReferenceReturns two{.oracle = {1, 1}, .random = {0, 0}}, no_random{.oracle = {1, 1, 1}, .random = {}};
  const std::string wanted = "the curves have 3 tasks, but there are oracle returns for 2 and random returns for 2";

  CHECK(has(error_of([&] { (void)share_of_oracle(curves, two, 1, 4); }), wanted));
  CHECK(has(error_of([&] { (void)estimate_share_of_oracle(curves, two, 1, 4); }), wanted));
  CHECK(has(error_of([&] { (void)unlearned_tasks(curves, two, 1, 4); }), wanted));
  CHECK(has(error_of([&] { (void)normalized_by_task(curves, two, 1, 4); }), wanted));
  CHECK(has(error_of([&] { (void)unlearned_tasks_by_score(curves, no_random, 1, 4); }), "random returns for 0"));
  CHECK(share_of_oracle(curves, no_random, 1, 4) == 1);
}

TEST_CASE("References are what the family says of each task", "[eval]") {
  const DarkRooms rooms;
  const std::vector<int> tasks{0, 40};

  const ReferenceReturns found = reference_returns(rooms, tasks);

  CHECK(found.oracle == std::vector<double>{13, 20});
  CHECK(found.random[1] == Approx(rooms.random_return(40)));
  const std::vector<int> foreign{3, 81};
  CHECK(error_of([&] { (void)reference_returns(rooms, foreign); }) ==
        "reference returns: task 81 is not one of the family's 81 tasks");
}

TEST_CASE("A threshold that is no number is refused, because it would be missed by every task", "[eval]") {
  const LearningCurves curves{{1}, 1, 1};
  const ReferenceReturns references{.oracle = {1}, .random = {0}};
  CHECK(error_of([&] { (void)unlearned_tasks(curves, references, 1, 1, std::nan("")); }) ==
        "unlearned_tasks: share is nan, it must be a number");
  CHECK(error_of([&] { (void)unlearned_tasks_by_score(curves, references, 1, 1, std::nan("")); }) ==
        "unlearned_tasks_by_score: score is nan, it must be a number");
}

TEST_CASE("A plotted line lies within its band", "[eval]") {
  LearningCurves curves = constant_curves({1, 2, 6});
  curves.returns(0, 0)[3] = 4;

  const PlotSeries series = plot_series("agent", curves);

  REQUIRE(series.y == std::vector<double>{3, 3, 3, 4});
  for (std::size_t i = 0; i < series.y.size(); ++i) {
    CHECK(series.band[i].low <= series.y[i]);
    CHECK(series.y[i] <= series.band[i].high);
  }
}

TEST_CASE("A band is that of its own episode", "[eval]") {
  LearningCurves curves = constant_curves({2, 2, 2});
  curves.returns(0, 0)[1] = 8;

  const PlotSeries series = plot_series("agent", curves);

  for (const std::size_t calm : {0u, 2u, 3u}) CHECK(series.band[calm].high == 2);
  CHECK(series.band[1].high > 4);
}
