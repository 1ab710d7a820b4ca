// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/eval/regret.hpp>

#include <cmath>
#include <numeric>
#include <vector>

#include <icrl/env/bernoulli_bandit.hpp>
#include <icrl/env/dark_room.hpp>
#include <icrl/env/linear_bandit.hpp>
#include <icrl/env/switching_bandit.hpp>
#include <icrl/eval/comparison.hpp>
#include <icrl/learner/random_learner.hpp>
#include <icrl/learner/ucb.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_model.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// Pulls the arms in turn.
struct InTurn {
  int arms, next = 0;
  void act(std::span<const float>, std::span<float> action, Rng&) { action[0] = static_cast<float>(next++ % arms); }
  void learn(const Transition&) {}
};

/// Knows which arm is the best one, whatever happens.
struct KnowingChanges {
  SwitchingBandit bandit;
  void act(std::span<const float>, std::span<float> action, Rng&) { action[0] = static_cast<float>(bandit.best_arm()); }
  void learn(const Transition& transition) {
    Rng rng{0};
    bandit.reset(rng);
    bandit.step(static_cast<int>(transition.action[0]), rng);
  }
};

}  // namespace

TEST_CASE("The regret of a pull is what the best arm would have paid more, on the mean", "[eval]") {
  const BernoulliBandit bandit{{0.25, 1, 0.5}};
  InTurn learner{3};
  const LearningHistory history = run(learner, bandit, 4, Rng{1});

  CHECK(regrets(bandit, history.view()) == std::vector<double>{0.75, 0, 0.5, 0.75});
}

TEST_CASE("Regret follows a bandit that switches", "[eval]") {
  const SwitchingBandits bandits{{.arms = 3, .change_probability = 0.2}};
  const std::vector<int> tasks{3, 4};
  const EvaluationConfig config{.runs = 2, .episodes = 60, .thread_count = 1};
  const LearningCurves knowing = evaluate_learner_regret(
      [](int, const SwitchingBandit& bandit) { return KnowingChanges{bandit}; }, bandits, tasks, config);
  const LearningCurves random = evaluate_learner_regret(
      [](int, const SwitchingBandit& bandit) { return RandomPolicy{bandit.action_space()}; }, bandits, tasks, config);

  for (const double total : total_by_task(knowing)) CHECK(total == 0);
  for (const double total : total_by_task(random)) CHECK(total == Approx(60 * 0.8 * 2 / 3).margin(9));
}

TEST_CASE("Regret of a contextual bandit is that of the contexts of the history", "[eval]") {
  const LinearBandit bandit = LinearBandits{{.features = 2, .arms = 3}}.make(0);
  InTurn learner{3};
  const LearningHistory history = run(learner, bandit, 6, Rng{1});

  const std::vector<double> found = regrets(bandit, history.view());

  std::vector<float> context(2);
  for (int i = 0; i < 6; ++i) {
    history.episode(i).observation(0, context);
    double best = -1e9;
    for (int arm = 0; arm < 3; ++arm) best = std::max(best, bandit.expected_reward(context, arm));
    CHECK(found[static_cast<std::size_t>(i)] == Approx(best - bandit.expected_reward(context, i % 3)).margin(1e-12));
  }
}

TEST_CASE("Regret and return of the same runs add up to the oracle's return", "[eval]") {
  const BernoulliBandits bandits{{.arms = 4}};
  const BernoulliBandit bandit = bandits.make(0);
  const auto model =
      small_model({.width = 16, .layer_count = 1, .head_count = 2, .context = 24},
                  {.observation_space = bandit.observation_space(), .action_space = bandit.action_space()});
  std::vector<int> tasks(40);
  std::iota(tasks.begin(), tasks.end(), 0);
  const EvaluationConfig config{.runs = 10, .episodes = 50, .seed = 3, .thread_count = 2};

  const double regret = mean(evaluate_regret(model, bandits, tasks, config).mean_by_episode());
  const double earned = mean(evaluate(model, bandits, tasks, config).mean_by_episode());

  CHECK(regret + earned == Approx(mean(reference_returns(bandits, tasks).oracle)).margin(0.015));
}

TEST_CASE("Cumulative regrets are sums, and the total is their end", "[eval]") {
  LearningCurves curves{{5, 6}, 1, 3};
  for (std::size_t i = 0; i < 3; ++i) {
    curves.returns(0, 0)[i] = static_cast<double>(i + 1);
    curves.returns(1, 0)[i] = 1;
  }

  const LearningCurves sums = cumulative(curves);

  CHECK(sums.mean_by_episode() == std::vector<double>{1, 2.5, 4.5});
  CHECK(total_by_task(curves) == std::vector<double>{6, 3});
  CHECK(sums.mean_by_task(3, 3) == std::vector<double>{6, 3});
}

TEST_CASE("A ratio of means resamples tasks in pairs", "[eval]") {
  const std::vector<double> others{1, 5, 2, 9, 4, 7};
  std::vector<double> values;
  for (const double other : others) values.push_back(0.5 * other);

  const Estimate half = estimate_ratio(values, others);
  values[0] = 20;
  const Estimate more = estimate_ratio(values, others);

  CHECK(half.value == Approx(0.5));
  CHECK(half.interval.low == Approx(0.5));
  CHECK(half.interval.high == Approx(0.5));
  CHECK(more.value == Approx(33.5 / 28));
  CHECK((more.interval.low < more.value && more.value < more.interval.high));
  CHECK(error_of([&] { (void)estimate_ratio(values, std::vector<double>{1}); }) ==
        "estimate_ratio: there are 6 values and 1 others, it needs as many of both");
  std::vector<double> balanced;  // their sum is 0, and that of hardly any resample
  for (int i = 0; i < 19; ++i) balanced.push_back(std::ldexp(1.0, i));
  balanced.push_back(1 - std::ldexp(1.0, 19));
  CHECK(error_of([&] { (void)estimate_ratio(std::vector<double>(20, 1.0), balanced); }) ==
        "estimate_ratio: the mean of the others is 0");
}

TEST_CASE("A history of another bandit has no regret", "[eval]") {
  InTurn learner{3};
  const LearningHistory history = run(learner, BernoulliBandit{{0.25, 1, 0.5}}, 4, Rng{1});

  CHECK(error_of([&] {
          (void)regrets(BernoulliBandit{{0.5, 0.5}}, history.view());
        }) == "regret: the history is of another environment, with other actions: discrete(3) and discrete(2)");
  CHECK(error_of([&] {
          (void)estimate_ratio(std::vector{1.0, 2.0}, std::vector{0.0, 0.0});
        }) == "estimate_ratio: the mean of the others is 0");
}
