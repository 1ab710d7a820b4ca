// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <span>
#include <utility>

#include <icrl/env/task_family.hpp>
#include <icrl/eval/each_run.hpp>
#include <icrl/eval/learning_curves.hpp>

namespace icrl {

/// The returns of fresh agents of a frozen model, with empty memories, on each task. `progress(done, total)` counts
/// runs and is called on this thread.
template <TaskFamily F, Streaming M>
[[nodiscard]] LearningCurves evaluate(const M& model, const F& family, std::span<const int> tasks,
                                      const EvaluationConfig& config, const Decoding& decoding = {},
                                      Progress progress = no_progress) {
  validate(config);
  LearningCurves curves{{tasks.begin(), tasks.end()}, config.runs, config.episodes};
  const auto take = [&](int task, int run, const HistoryView& history) { set_returns(curves, task, run, history); };
  for_each_run(model, family, tasks, config, decoding, take, progress);
  return curves;
}

/// The same for any other learner: `make_learner(task, env)` makes a fresh one for every run.
template <TaskFamily F, typename MakeLearner>
[[nodiscard]] LearningCurves evaluate_learner(MakeLearner make_learner, const F& family, std::span<const int> tasks,
                                              const EvaluationConfig& config) {
  validate(config);
  LearningCurves curves{{tasks.begin(), tasks.end()}, config.runs, config.episodes};
  const auto take = [&](int task, int run, const HistoryView& history) { set_returns(curves, task, run, history); };
  for_each_learner_run(std::move(make_learner), family, tasks, config, take);
  return curves;
}

}  // namespace icrl
