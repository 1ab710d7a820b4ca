// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/bandit.hpp>
#include <icrl/env/task_family.hpp>
#include <icrl/eval/each_run.hpp>
#include <icrl/eval/evaluate.hpp>
#include <icrl/eval/learning_curves.hpp>
#include <icrl/eval/statistics.hpp>
#include <icrl/history/history_view.hpp>

namespace icrl {

/// The pseudo-regret of each pull of a history: the expected reward of the best arm less that of the arm that was
/// pulled. It has no noise of rewards in it, so it needs far fewer runs than returns do. `env` is a fresh
/// environment of the history's task, in which the history's actions are repeated. Throws Error if the history is of
/// other actions or observations.
template <HasExpectedReward E>
[[nodiscard]] std::vector<double> regrets(E env, const HistoryView& history) {
  if (const std::string differ = difference(history.info().action_space, env.action_space()); !differ.empty())
    fail("regret: the history is of another environment, with other actions: {}", differ);
  if (const std::string differ = difference(history.info().observation_space, env.observation_space()); !differ.empty())
    fail("regret: the history is of another environment, with other observations: {}", differ);
  std::vector<double> regrets;
  std::vector<float> observation(static_cast<std::size_t>(value_count(env.observation_space())));
  float action = 0;
  Rng rng{0};  // rewards are drawn again, and nothing depends on them
  for (int e = 0; e < history.episode_count(); ++e) {
    const EpisodeView episode = history.episode(e);
    if (episode.length() != 1) fail("regret: episode {} has {} steps, a pull is one step", e, episode.length());
    env.reset(rng);
    episode.observation(0, observation);
    episode.action(0, {&action, 1});
    const int arm = static_cast<int>(action);
    regrets.push_back(best_expected_reward(env, observation) - env.expected_reward(observation, arm));
    (void)step(env, std::span<const float>{&action, 1}, rng);
  }
  return regrets;
}

namespace detail {

template <typename F>
[[nodiscard]] auto regrets_into(LearningCurves& curves, const F& family) {
  return [&curves, &family](int task, int run, const HistoryView& history) {
    const std::vector<double> all = regrets(family.make(curves.tasks()[static_cast<std::size_t>(task)]), history);
    std::copy_n(all.begin(), curves.episode_count(), curves.returns(task, run).begin());
  };
}

}  // namespace detail

/// The pseudo-regret of each pull of fresh agents of a frozen model, config.episodes pulls per run, with the random
/// numbers of `evaluate`.
template <TaskFamily F, Streaming M>
requires HasExpectedReward<EnvironmentOf<F>>
[[nodiscard]] LearningCurves evaluate_regret(const M& model, const F& family, std::span<const int> tasks,
                                             const EvaluationConfig& config, const Decoding& decoding = {},
                                             Progress progress = no_progress) {
  validate(config);
  LearningCurves curves{{tasks.begin(), tasks.end()}, config.runs, config.episodes};
  for_each_run(model, family, tasks, config, decoding, detail::regrets_into(curves, family), progress);
  return curves;
}

/// The same for any other learner; `make_learner(task, env)` makes a fresh one for every run.
template <TaskFamily F, typename MakeLearner>
requires HasExpectedReward<EnvironmentOf<F>>
[[nodiscard]] LearningCurves evaluate_learner_regret(MakeLearner make_learner, const F& family,
                                                     std::span<const int> tasks, const EvaluationConfig& config) {
  validate(config);
  LearningCurves curves{{tasks.begin(), tasks.end()}, config.runs, config.episodes};
  for_each_learner_run(std::move(make_learner), family, tasks, config, detail::regrets_into(curves, family));
  return curves;
}

/// Running sums over each run's episodes: of regrets per pull, the cumulative regret.
[[nodiscard]] inline LearningCurves cumulative(LearningCurves curves) {
  for (int task = 0; task < curves.task_count(); ++task) {
    for (int run = 0; run < curves.run_count(); ++run) {
      const std::span<double> values = curves.returns(task, run);
      std::partial_sum(values.begin(), values.end(), values.begin());
    }
  }
  return curves;
}

/// For each task the sum over a run, mean over runs: of regrets per pull, the total regret.
[[nodiscard]] inline std::vector<double> total_by_task(const LearningCurves& curves) {
  if (curves.episode_count() == 0) return std::vector<double>(static_cast<std::size_t>(curves.task_count()));
  std::vector<double> totals = curves.mean_by_task(1, curves.episode_count());
  for (double& total : totals) total *= curves.episode_count();
  return totals;
}

/// mean(values) / mean(others) with a bootstrap interval over tasks; number i of both belongs to one task. Throws Error
/// if there are not as many of both, and if the mean of `others` is 0, in the data or in a resample (which happens
/// where most of them are 0).
[[nodiscard]] inline Estimate estimate_ratio(std::span<const double> values, std::span<const double> others,
                                             const BootstrapConfig& config = {}) {
  if (values.size() != others.size())
    fail("estimate_ratio: there are {} values and {} others, it needs as many of both", values.size(), others.size());
  std::vector<double> numbers(values.size());
  std::iota(numbers.begin(), numbers.end(), 0.0);
  const auto ratio = [&](std::span<const double> drawn) {
    double above = 0, below = 0;
    for (const double number : drawn) {
      above += values[static_cast<std::size_t>(number)];
      below += others[static_cast<std::size_t>(number)];
    }
    return above / below;
  };
  const double value = ratio(numbers);
  if (!std::isfinite(value)) fail("estimate_ratio: the mean of the others is 0");
  return {value, bootstrap_interval(numbers, ratio, config)};
}

}  // namespace icrl
