// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/compress/agreement.hpp>
#include <icrl/core/byte_stream.hpp>
#include <icrl/eval/comparison.hpp>
#include <icrl/eval/evaluate.hpp>
#include <icrl/eval/statistics.hpp>
#include <icrl/model/tensors.hpp>

namespace icrl {

/// How a compressed model is compared with its original.
struct JudgeConfig {
  EvaluationConfig evaluation{.runs = 4, .episodes = 100};  ///< of both models, with the same seeds
  Decoding decoding{};                                      ///< of the agents of both models
  RollOutConfig agreement{};                                ///< of the original's agents, whose steps both models see
  int timed_steps = 4000;                                   ///< actions that are timed, per model; 0 = none
  BootstrapConfig bootstrap{};                              ///< of the intervals, over tasks
};

/// What one model costs and what it earns.
struct ModelFigures {
  std::int64_t weight_bytes = 0;                    ///< of its tensors, as files hold them
  std::int64_t memory_bytes = 0;                    ///< of one full context of an agent, as memory files hold it
  double us_per_action = 0, us_per_action_p99 = 0;  ///< median and 99th percentile, of an agent whose context is full;
                                                    ///< 0 if nothing was timed
  Estimate area{};                                  ///< mean return over all episodes, as a share of the oracle's
  Estimate first_ten{}, last_ten{};                 ///< the same over the first and the last ten episodes
  double worst_task = 0;                            ///< the lowest area of a task
  std::vector<int> unlearned_tasks{};               ///< see unlearned_tasks(), over the last ten episodes
  std::vector<double> return_by_episode{};          ///< mean over tasks and runs
};

/// Both models, and how they compare.
struct CompressionReport {
  ModelFigures original, compressed;     ///< the model before and after compression
  Agreement agreement{};                 ///< of the compressed model with the original, step by step
  std::optional<Estimate> area_ratio{};  ///< the compressed model's area as a share of the original's, tasks paired;
                                         ///< none if the original earns nothing on so many tasks that it has no
                                         ///< interval

  /// Whether single steps hide a loss: both models take the same action in 99 % of the steps, and yet the compressed
  /// one earns less than 98 % of the original's area, beyond doubt.
  [[nodiscard]] bool agrees_but_improves_less() const {
    return agreement.share >= 0.99 && area_ratio && area_ratio->interval.high < 0.98;
  }
};

namespace detail {

/// Times an agent's actions on one task. Its context is full before the first one that counts, because from then on an
/// action takes what it always takes.
template <Streaming M, TaskFamily F>
class ActTimer {
public:
  ActTimer(const M& model, const F& family, int task) : env_{family.make(task)}, agent_{model} {
    constexpr int least_warm_up = 20;
    before_.resize(static_cast<std::size_t>(model.layout.observation_size()));
    after_.resize(before_.size());
    action_.resize(static_cast<std::size_t>(model.layout.action_size()));
    if constexpr (HasActionMask<EnvironmentOf<F>>)
      mask_.resize(static_cast<std::size_t>(std::get<Discrete>(model.layout.action_space).count));
    env_.reset(rng_);
    env_.observe(before_);
    for (int t = 0; t < std::max(least_warm_up, model.max_stream_length().value_or(0)); ++t) (void)timed_step();
  }

  /// Adds the microseconds of each of so many actions.
  void append(int steps, std::vector<double>& times) {
    for (int t = 0; t < steps; ++t) times.push_back(timed_step());
  }

private:
  double timed_step() {
    if constexpr (HasActionMask<EnvironmentOf<F>>) env_.action_mask(mask_);
    const auto begin = std::chrono::steady_clock::now();
    agent_.act(before_, mask_, action_, rng_);
    const std::chrono::duration<double, std::micro> taken = std::chrono::steady_clock::now() - begin;
    const StepResult result = step(env_, action_, rng_);
    env_.observe(after_);
    agent_.learn({before_, action_, result.reward, after_, result.terminated, result.truncated});
    if (result.terminated || result.truncated) {
      env_.reset(rng_);
      env_.observe(after_);
    }
    before_.swap(after_);
    return taken.count();
  }

  EnvironmentOf<F> env_;
  InContextAgent<M> agent_;
  Rng rng_{0};
  std::vector<float> before_, after_, action_;
  std::vector<std::uint8_t> mask_;  // empty where everything is allowed
};

[[nodiscard]] inline double percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(std::lround(share * static_cast<double>(values.size() - 1)))];
}

/// Times agents of both models in turns, so that other work on the machine slows both.
template <Streaming A, Streaming B, TaskFamily F>
void time_actions(const A& a, const B& b, const F& family, int task, int steps, ModelFigures& of_a,
                  ModelFigures& of_b) {
  constexpr int turns = 8;
  ActTimer<A, F> timer_a{a, family, task};
  ActTimer<B, F> timer_b{b, family, task};
  std::vector<double> times_a, times_b;
  for (int turn = 0; turn < turns; ++turn) {
    timer_a.append((steps + turns - 1) / turns, times_a);
    timer_b.append((steps + turns - 1) / turns, times_b);
  }
  of_a.us_per_action = percentile(times_a, 0.5);
  of_a.us_per_action_p99 = percentile(times_a, 0.99);
  of_b.us_per_action = percentile(times_b, 0.5);
  of_b.us_per_action_p99 = percentile(times_b, 0.99);
}

/// Bytes of the longest stream's state, which differs from an empty one where only what is held is saved.
template <Streaming M>
[[nodiscard]] std::int64_t state_bytes(const M& model) {
  std::vector<typename M::State> states = model.make_states(1);
  typename M::StreamWorkspace workspace;
  model.reserve(workspace, 1);
  Matrix<typename M::Scalar> outputs(1, output_count_of(model));
  const std::vector<float> row(static_cast<std::size_t>(model.layout.feature_count()), 0.0f);
  const StreamInput<typename M::State> input{&states.front(), row.data(), /*wants_output*/ false};
  for (int t = 0; t < model.max_stream_length().value_or(1); ++t) model.step({&input, 1}, workspace, outputs);
  ByteWriter bytes;
  states.front().save(bytes);
  return static_cast<std::int64_t>(bytes.bytes().size());
}

template <Streaming M>
requires HasWeights<M>
[[nodiscard]] ModelFigures figures_of(const M& model, const LearningCurves& curves, const ReferenceReturns& references,
                                      const BootstrapConfig& bootstrap) {
  const int episodes = curves.episode_count(), ten = std::min(10, episodes);
  ModelFigures figures{
      .memory_bytes = state_bytes(model),
      .area = estimate_share_of_oracle(curves, references, 1, episodes, bootstrap),
      .first_ten = estimate_share_of_oracle(curves, references, 1, ten, bootstrap),
      .last_ten = estimate_share_of_oracle(curves, references, episodes - ten + 1, episodes, bootstrap),
      .worst_task = std::numeric_limits<double>::infinity(),
      .unlearned_tasks = unlearned_tasks(curves, references, episodes - ten + 1, episodes),
      .return_by_episode = curves.mean_by_episode()};
  for (const TensorView& tensor : tensors_of(model))
    figures.weight_bytes += static_cast<std::int64_t>(tensor.bytes.size());
  const std::vector<double> by_task = curves.mean_by_task(1, episodes);
  for (std::size_t i = 0; i < by_task.size(); ++i)
    figures.worst_task = std::min(figures.worst_task, by_task[i] / references.oracle[i]);
  return figures;
}

/// The ratio of two means over the same tasks; none if the divisor of a resample is not positive.
[[nodiscard]] inline std::optional<Estimate> estimate_ratio(const std::vector<double>& over,
                                                            const std::vector<double>& under,
                                                            const BootstrapConfig& bootstrap) {
  std::vector<double> tasks(over.size());
  std::iota(tasks.begin(), tasks.end(), 0.0);
  bool is_defined = true;
  const auto ratio = [&](std::span<const double> drawn) {
    double a = 0, b = 0;
    for (const double task : drawn) {
      a += over[static_cast<std::size_t>(task)];
      b += under[static_cast<std::size_t>(task)];
    }
    is_defined = is_defined && b > 0;
    return b > 0 ? a / b : 0.0;
  };
  const Estimate estimate{ratio(tasks), bootstrap_interval(tasks, ratio, bootstrap)};
  return is_defined ? std::optional{estimate} : std::nullopt;
}

}  // namespace detail

/// Runs fresh agents of both models on `tasks`, which neither was trained on, and compares their costs and returns. The
/// learning curve decides: a model may agree with its original step by step and still improve less. Throws Error for an
/// empty list of tasks, for a family whose oracle earns nothing, and where the original earns nothing.
template <Streaming Original, Streaming Compressed, TaskFamily F>
requires HasWeights<Original> && HasWeights<Compressed> && HasOracleReturn<F>
[[nodiscard]] CompressionReport judge(const Original& original, const Compressed& compressed, const F& family,
                                      std::span<const int> tasks, const JudgeConfig& config = {},
                                      Progress progress = no_progress) {
  if (tasks.empty()) fail("judge: there are no tasks, it needs at least one");
  if (config.timed_steps < 0) fail("judge: timed_steps is {}, it must not be negative", config.timed_steps);
  const ReferenceReturns references = reference_returns(family, tasks);
  const LearningCurves before = evaluate(original, family, tasks, config.evaluation, config.decoding, progress);
  const LearningCurves after = evaluate(compressed, family, tasks, config.evaluation, config.decoding, progress);
  CompressionReport report{.original = detail::figures_of(original, before, references, config.bootstrap),
                           .compressed = detail::figures_of(compressed, after, references, config.bootstrap),
                           .agreement = measure_agreement(original, compressed, family, tasks, config.agreement)};
  const int episodes = before.episode_count();
  if (!(report.original.area.value > 0))
    fail("judge: the original earns {} of the oracle's return, but a share of the original needs more than 0",
         report.original.area.value);
  report.area_ratio =
      detail::estimate_ratio(after.mean_by_task(1, episodes), before.mean_by_task(1, episodes), config.bootstrap);
  if (config.timed_steps > 0) {
    detail::time_actions(original, compressed, family, tasks.front(), config.timed_steps, report.original,
                         report.compressed);
  }
  return report;
}

}  // namespace icrl
