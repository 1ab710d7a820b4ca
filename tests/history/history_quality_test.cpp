// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/history/history_quality.hpp>

#include <array>
#include <limits>
#include <vector>

#include <icrl/history/history_recorder.hpp>
#include <icrl/history/learning_history.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// Episodes of one step with these returns.
LearningHistory history_of_returns(const std::vector<float>& returns) {
  LearningHistory history{{.observation_space = Discrete{1}, .action_space = Discrete{1}}};
  HistoryRecorder recorder{history};
  const std::array<float, 1> zero{};
  for (const float value : returns) {
    recorder.begin_episode(zero);
    recorder.step(zero, value, zero, true, false);
  }
  return history;
}

}  // namespace

TEST_CASE("Improvement compares the last quarter with the first, stability counts drops", "[history]") {
  const auto quality = [](const std::vector<float>& returns) {
    const LearningHistory history = history_of_returns(returns);
    return history_quality(history.view());
  };
  const HistoryQuality rising = quality({0, 1, 2, 3, 4, 5, 6, 8});
  CHECK(rising.improvement == Approx((7 - 0.5) / 8));
  CHECK(rising.stability == 1);

  const HistoryQuality falling = quality({8, 6, 5, 4, 3, 2, 1, 0});
  CHECK(falling.improvement == Approx(-(7 - 0.5) / 8));
  CHECK(falling.stability == Approx(1 - 8.0 / 7 / 8));

  const HistoryQuality swinging = quality({0, 1, 0, 1, 0, 1, 0, 1});
  CHECK(swinging.improvement == 0);
  CHECK(swinging.stability == Approx(1 - 3.0 / 7));

  const HistoryQuality flat = quality({-2, -2, -2});
  CHECK(flat.improvement == 0);
  CHECK(flat.stability == 1);
  CHECK(quality({1}).improvement == 0);
  CHECK(has(error_of([&] { (void)quality({}); }), "has no episodes"));
}

TEST_CASE("The best histories are kept in their order", "[history]") {
  const std::vector<LearningHistory> histories = {history_of_returns({0, 1, 0, 1}), history_of_returns({1, 1, 1, 0}),
                                                  history_of_returns({1, 0, 0, 0}), history_of_returns({0, 0, 1, 1})};
  std::vector<HistoryView> views;
  for (const LearningHistory& history : histories) views.push_back(history.view());

  const auto kept = keep_best(views, 0.5);
  REQUIRE(kept.size() == 2);
  CHECK(kept[0].columns().rewards == views[0].columns().rewards);
  CHECK(kept[1].columns().rewards == views[3].columns().rewards);
  CHECK(keep_best(views, 0.01).size() == 1);
  CHECK(keep_best(views, 1).size() == 4);
  CHECK(has(error_of([&] { (void)keep_best(views, 0); }), "fraction is 0"));
  CHECK(has(error_of([&] { (void)keep_best(views, std::numeric_limits<double>::quiet_NaN()); }), "fraction is nan"));
  CHECK(has(error_of([&] { (void)keep_best(views, 0.5, -1); }), "stability_weight is -1"));
  CHECK(has(error_of([&] { (void)keep_best({}, 0.5); }), "there are no histories"));
}
