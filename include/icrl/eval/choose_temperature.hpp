// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/env/decoding.hpp>
#include <icrl/eval/evaluate.hpp>
#include <icrl/eval/statistics.hpp>

namespace icrl {

/// What a model earns at one temperature.
struct TemperatureScore {
  double temperature;    ///< see Decoding
  Estimate mean_return;  ///< over all episodes and runs, with a 95 % interval over tasks
};

/// The best temperature of some candidates.
struct TemperatureChoice {
  double temperature;                    ///< of the highest mean return; among equal ones, the first
  std::vector<TemperatureScore> scores;  ///< in the order of the candidates
};

/// Chooses the temperature at which a frozen model earns most: evaluates it on `tasks` at each candidate, with the same
/// seeds. The best temperature depends on the model and the task: randomness helps an agent to explore and to leave a
/// mistake that it repeats, and costs it return afterwards. Give validation tasks, never the held-out tasks that a
/// claim is made on. `decoding` is used except for its temperature; `progress(done, total)` counts the runs of all
/// candidates. Throws Error if there are no candidates or no tasks.
template <TaskFamily F, Streaming M>
[[nodiscard]] TemperatureChoice choose_temperature(const M& model, const F& family, std::span<const int> tasks,
                                                   std::span<const double> candidates, const EvaluationConfig& config,
                                                   Decoding decoding = {}, Progress progress = no_progress) {
  if (candidates.empty()) fail("choose_temperature: there are no candidates");
  if (tasks.empty()) fail("choose_temperature: there are no tasks, give it validation tasks");
  for (const double temperature : candidates) {
    decoding.temperature = temperature;
    validate(decoding);
  }
  TemperatureChoice choice{.temperature = candidates.front(), .scores = {}};
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    decoding.temperature = candidates[i];
    const auto report = [&](std::size_t done, std::size_t total) {
      progress(i * total + done, candidates.size() * total);
    };
    const LearningCurves curves = evaluate(model, family, tasks, config, decoding, report);
    const std::vector<double> by_task = curves.mean_by_task(1, config.episodes);
    choice.scores.push_back({.temperature = candidates[i], .mean_return = estimate_mean(by_task)});
  }
  const auto best = std::ranges::max_element(choice.scores, {},
                                             [](const TemperatureScore& score) { return score.mean_return.value; });
  choice.temperature = best->temperature;
  return choice;
}

}  // namespace icrl
