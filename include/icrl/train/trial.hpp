// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <icrl/agent/in_context_agents.hpp>
#include <icrl/core/assert.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/task_family.hpp>
#include <icrl/history/context_batch.hpp>
#include <icrl/history/learning_history.hpp>
#include <icrl/history/window_sampler.hpp>
#include <icrl/learner/actor_critic.hpp>
#include <icrl/learner/advantages.hpp>
#include <icrl/learner/run.hpp>
#include <icrl/model/concepts.hpp>

namespace icrl {

/// What RL2 learns from: a few episodes of an agent on one task, which it meets with an empty memory and remembers
/// across the episodes (Duan et al., 2016, section 2.2). T rows; see StepLayout.
struct Trial {
  LearningHistory history;  ///< of all its episodes; the info has the task
  ContextBatch window;      ///< all its rows, as a model reads them: one sequence of T
  /// (T, actions) which of a Discrete space were allowed; empty = all always. Closing rows have zeros.
  std::vector<std::uint8_t> masks{};
  std::vector<double> negative_log_probabilities{};  ///< (T) -log p(action) by the model that acted
  std::vector<double> advantages{};                  ///< (T)
  std::vector<double> returns{};                     ///< (T) the targets of values, scaled

  /// Rows, closing rows included.
  [[nodiscard]] int row_count() const { return window.lengths.front(); }
  /// Whether an action was taken in this row; closing rows have none.
  [[nodiscard]] bool has_action(int row) const { return window.weights_of(0)[static_cast<std::size_t>(row)] != 0; }
};

namespace detail {

/// The outputs for actions of row `t` of a trial, with those of forbidden actions as `forbid` sets them.
template <typename S>
void read_action_outputs(const Trial& trial, Index t, MatrixIn<S> outputs, Matrix<double>& row) {
  row = outputs.row(t).leftCols(row.cols()).template cast<double>();
  const auto size = static_cast<std::size_t>(row.cols());
  if (!trial.masks.empty()) forbid(std::span{trial.masks}.subspan(static_cast<std::size_t>(t) * size, size), row, 1);
}

/// The action of row `t` of a trial.
[[nodiscard]] inline std::span<const float> action_of(const Trial& trial, Index t) {
  const auto size = static_cast<std::size_t>(trial.window.action_size);
  return trial.window.actions_of(0).subspan(static_cast<std::size_t>(t) * size, size);
}

/// A history as one window of all its rows, whatever its length.
inline void fill_window(const StepLayout& layout, Trial& trial) {
  const HistoryView view = trial.history.view();
  const std::int64_t rows = view.step_count() + (layout.closing_token ? view.episode_count() : 0);
  const WindowSampler whole{{view}, layout, {.context = static_cast<int>(rows), .history_start_fraction = 1}};
  whole.sample(1, Rng{0}, trial.window);
  if (!view.info().has_action_mask) return;
  const HistoryColumns& columns = view.columns();
  const auto size = static_cast<std::size_t>(columns.mask_size);
  const std::uint8_t* mask = columns.action_masks;
  trial.masks.assign(static_cast<std::size_t>(trial.row_count()) * size, 0);
  for (int t = 0; t < trial.row_count(); ++t) {
    if (!trial.has_action(t)) continue;
    std::copy_n(mask, size, trial.masks.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(t) * size));
    mask += size;
  }
}

}  // namespace detail

/// Runs one trial of `episodes` episodes per generator, all in lockstep, by fresh agents of the model, which sample
/// from its distribution. A trial's task is drawn from `tasks`, with repetition, by its generator's fork(2);
/// environment and agent draw as in `run_group`, so a trial does not depend on the others. Throws Error as `run_group`
/// does, for no tasks, and for a trial that is longer than the model's context.
template <TaskFamily F, Streaming M>
[[nodiscard]] std::vector<Trial> run_trials(const M& model, const F& family, std::span<const int> tasks, int episodes,
                                            std::span<const Rng> rngs) {
  std::vector<Trial> trials;
  if (rngs.empty()) return trials;
  if (tasks.empty()) fail("RL2: there is no task to run trials on");
  std::vector<HistoryInfo> infos;
  std::vector<EnvironmentOf<F>> envs;
  for (const Rng& rng : rngs) {
    const int task = tasks[static_cast<std::size_t>(rng.fork(2).below(static_cast<int>(tasks.size())))];
    infos.push_back({.task = task, .algorithm = "RL2"});
    envs.push_back(family.make(task));
  }
  // A trial does not outgrow its context, so one is enough, unless windows begin at episodes, which takes two.
  const int context_count = window_start_of(model) == WindowStart::anywhere ? 1 : 2;
  InContextAgents<M> agents{model, static_cast<int>(rngs.size()), {}, context_count};
  for (LearningHistory& history : run_group(agents, std::move(envs), episodes, rngs, infos)) {
    Trial trial{.history = std::move(history), .window = {}};
    detail::fill_window(model.layout, trial);
    if (const auto most = model.max_stream_length(); most && trial.row_count() > *most) {
      fail("RL2: a trial of task {} has {} rows, but the model's context is {} (take fewer episodes per trial)",
           trial.history.info().task, trial.row_count(), *most);
    }
    trials.push_back(std::move(trial));
  }
  return trials;
}

/// Fills a trial's negative log probabilities, advantages and returns from `outputs` (T, P) of the model that acted,
/// whose first output after those for actions is the value. Rewards are multiplied by `return_scale` and discounted
/// across the ends of episodes; nothing follows the trial's last step. See generalized_advantages.
template <SequenceModel M>
void value_trial(const M& model, MatrixIn<typename M::Scalar> outputs, double discount, double lambda,
                 double return_scale, Trial& trial) {
  const auto rows = static_cast<std::size_t>(trial.row_count());
  const Index place = model.actions.parameter_count();
  ICRL_ASSERT(outputs.cols() > place, "value_trial: the model has no output for a value");
  const float* const rewards = trial.history.view().columns().rewards;
  Matrix<double> row(1, place);
  std::vector<ValuedStep> steps;
  trial.negative_log_probabilities.assign(rows, 0);
  for (std::size_t r = 0; r < rows; ++r) {
    const auto t = static_cast<Index>(r);
    if (!trial.has_action(static_cast<int>(r))) continue;
    detail::read_action_outputs<typename M::Scalar>(trial, t, outputs, row);
    trial.negative_log_probabilities[r] = model.actions.template loss<double>(
        {row.data(), static_cast<std::size_t>(place)}, detail::action_of(trial, t), 0.0);
    const auto value = static_cast<double>(outputs(t, place));
    if (!steps.empty()) steps.back().next_value = value;
    steps.push_back({.reward = return_scale * static_cast<double>(rewards[steps.size()]), .value = value});
  }
  steps.back().terminated = true;
  std::vector<double> advantages(steps.size());
  generalized_advantages(steps, discount, lambda, advantages);
  trial.advantages.assign(rows, 0);
  trial.returns.assign(rows, 0);
  std::size_t step = 0;
  for (std::size_t r = 0; r < rows; ++r) {
    if (!trial.has_action(static_cast<int>(r))) continue;
    trial.advantages[r] = advantages[step];
    trial.returns[r] = advantages[step] + steps[step].value;
    ++step;
  }
}

/// Shifts and scales the advantages of all steps of all trials to mean 0 and standard deviation 1.
inline void normalize_advantages(std::span<Trial> trials) {
  double count = 0, sum = 0, squares = 0;
  const auto for_each_step = [&](auto&& visit) {
    for (Trial& trial : trials)
      for (int t = 0; t < trial.row_count(); ++t)
        if (trial.has_action(t)) visit(trial.advantages[static_cast<std::size_t>(t)]);
  };
  for_each_step([&](const double& advantage) {
    ++count;
    sum += advantage;
  });
  for_each_step([&](const double& advantage) { squares += (advantage - sum / count) * (advantage - sum / count); });
  const double deviation = std::sqrt(squares / count) + 1e-8;
  for_each_step([&](double& advantage) { advantage = (advantage - sum / count) / deviation; });
}

}  // namespace icrl
