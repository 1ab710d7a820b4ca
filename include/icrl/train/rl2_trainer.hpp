// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <icrl/core/checksum.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/core/parallel.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/task_family.hpp>
#include <icrl/model/concepts.hpp>
#include <icrl/nn/adamw.hpp>
#include <icrl/nn/weight_chunks.hpp>
#include <icrl/train/checkpoint.hpp>
#include <icrl/train/clipped_objective.hpp>
#include <icrl/train/distil_checks.hpp>
#include <icrl/train/gradient_slots.hpp>
#include <icrl/train/objective.hpp>
#include <icrl/train/rl2_config.hpp>
#include <icrl/train/schedule.hpp>
#include <icrl/train/trial.hpp>

namespace icrl {

/// What one update of RL2 did. Means are over the steps of all passes, returns over the update's trials.
struct Rl2Metrics {
  int update = 0;               ///< updates so far
  std::int64_t steps = 0;       ///< environment steps so far
  double first_return = 0;      ///< mean return of the first episode of a trial
  double last_return = 0;       ///< mean return of the last episode of a trial
  double policy_loss = 0;       ///< PPO's clipped objective, negative
  double value_error = 0;       ///< half the squared error of the scaled values
  double entropy = 0;           ///< of the policy, nats
  double approximate_kl = 0;    ///< estimate of KL(policy that acted || policy), nats
  double clipped_share = 0;     ///< of the steps
  double gradient_norm = 0;     ///< mean over the update's gradient steps, before clipping
  double rate = 0;              ///< learning rate
  double seconds = 0;           ///< of training so far
  double steps_per_second = 0;  ///< of this update, acting included
};

/// RL2 (Duan et al., 2016): reinforcement learning of a model that learns. The model acts in trials: a task is drawn
/// from the training tasks, the model begins with an empty memory and keeps it over `episodes` episodes, and its
/// rewards are discounted across them, so that exploring an early episode pays in a later one. It is trained by PPO
/// with generalized advantages and gradients through whole trials. The trained model is an ordinary one: frozen, in an
/// InContextAgent, it improves on tasks that it has never seen.
///
/// For a given seed and configuration the weights are bit-identical with any number of threads and interruptions.
/// Trials and gradients are split into `gradient_slots` parts; a slot's trials act in lockstep on one thread.
template <TaskFamily F, Trainable M>
requires Streaming<M>
class Rl2Trainer {
public:
  using Scalar = typename M::Scalar;

  /// Model and family must outlive the trainer; the tasks are copied. Throws Error for an invalid configuration, no
  /// tasks or tasks that the family does not have, a model without an output for the value, with other spaces or with
  /// extra features, or one that was not initialized.
  Rl2Trainer(M& model, const F& family, std::span<const int> tasks, const Rl2Config& config)
      : model_{model},
        family_{family},
        tasks_{tasks.begin(), tasks.end()},
        config_{checked(config, model, family, tasks)},
        pool_{config.used_threads()},
        gradients_{model, config.gradient_slots},
        optimizer_{model, config.optimizer},
        weights_{weight_chunks<Scalar>(model)},
        means_{weight_chunks<Scalar>(optimizer_.mean())},
        variances_{weight_chunks<Scalar>(optimizer_.variance())},
        slots_(static_cast<std::size_t>(config.gradient_slots)) {}
  Rl2Trainer(M&, const F&&, std::span<const int>, const Rl2Config&) = delete;
  Rl2Trainer(const Rl2Trainer&) = delete;
  Rl2Trainer& operator=(const Rl2Trainer&) = delete;

  /// One update: the trials, and `epochs` passes over them. Throws Error as `run_trials` does and if the run's updates
  /// are done, with nothing changed, and if a loss or gradient is not finite; after that only `restore` may be called.
  Rl2Metrics step() {
    if (progress_.update >= config_.updates) fail("RL2: all {} updates of this run are done", config_.updates);
    const auto begin = std::chrono::steady_clock::now();
    const Rng rng = Rng{config_.seed}.fork(static_cast<std::uint64_t>(progress_.update));
    act(rng);
    normalize_advantages(trials_);

    const double rate = schedule().rate(progress_.update);
    double norms = 0;
    for (Slot& slot : slots_) slot.scratch.objective.totals = {};
    std::vector<int> order(trials_.size());
    std::iota(order.begin(), order.end(), 0);
    for (int epoch = 0; epoch < config_.epochs; ++epoch) {
      Rng shuffle = rng.fork(static_cast<std::uint64_t>(config_.trials + epoch));
      for (int i = config_.trials; i > 1; --i)
        std::swap(order[static_cast<std::size_t>(i - 1)], order[static_cast<std::size_t>(shuffle.below(i))]);
      for (int m = 0; m < config_.minibatches; ++m) {
        const Range range = part_of(config_.trials, m, config_.minibatches);
        norms += learn(std::span{order}.subspan(range.first, range.count), rate);
      }
    }
    return finish(begin, rate, norms / config_.steps_per_update());
  }

  /// How far the run has come; `tokens` counts environment steps, `loss` is that of the last gradient step.
  [[nodiscard]] const DistilProgress& progress() const { return progress_; }
  /// The configuration of the run.
  [[nodiscard]] const Rl2Config& config() const { return config_; }
  /// The trials of the last update.
  [[nodiscard]] std::span<const Trial> trials() const { return trials_; }

  /// Writes everything that the rest of the run depends on, as a checkpoint (see write_checkpoint).
  void save(const std::filesystem::path& path) const {
    write_checkpoint<M>(path, description(), progress_, model_, optimizer_.mean(), optimizer_.variance(), nullptr,
                        nullptr);
  }
  /// Continues, bit for bit, from where `save` was called. Throws Error, and changes nothing, for a damaged checkpoint
  /// or one of another model, configuration or list of tasks.
  void restore(const std::filesystem::path& path) {
    const Checkpoint<M> found = read_checkpoint(path, description(), model_);
    if (found.progress.update > config_.updates)
      fail("checkpoint \"{}\": is of update {}, but this run has only {} updates", path.string(), found.progress.update,
           config_.updates);
    progress_ = found.progress;
    copy_weights(found.model, model_);
    optimizer_.restore(found.mean, found.variance, progress_.update * config_.steps_per_update());
  }

private:
  /// What one part of a batch needs.
  struct Slot {
    std::vector<Trial> trials;
    std::vector<Rng> rngs;
    WindowScratch<M, ClippedObjective> scratch;
    double loss = 0, steps = 0;
  };
  struct Range {
    std::size_t first, count;
  };

  /// Part `i` of `parts` of a list of `count`.
  [[nodiscard]] static Range part_of(int count, int i, int parts) {
    const auto bound = [&](int part) { return static_cast<std::size_t>(std::int64_t{count} * part / parts); };
    return {bound(i), bound(i + 1) - bound(i)};
  }

  static const Rl2Config& checked(const Rl2Config& config, const M& model, const F& family,
                                  std::span<const int> tasks) {
    validate(config);
    detail::check_representable<Scalar>("RL2", config.optimizer);
    if (tasks.empty()) fail("RL2: there is no task to train on");
    check_tasks(family, tasks, "RL2");
    const Index actions = model.actions.parameter_count();
    if (output_count_of(model) <= actions) {
      fail("RL2: the model has {} outputs, all for actions; it needs one for the value (use a RecurrentValueModel)",
           output_count_of(model));
    }
    if (!model.layout.extra_features.empty())
      fail("RL2: the model has the extra features {}, which trials do not have",
           to_string(model.layout.extra_features));
    if constexpr (requires { model.config.capacity_factor; }) {
      if (model.config.capacity_factor != 0) {
        fail(
            "RL2: capacity_factor is {}, it must be 0: an agent's experts take all tokens, and training has to be on the "
            "policy that acted",
            model.config.capacity_factor);
      }
    }
    const auto env = family.make(tasks.front());
    const StepLayout steps{env.observation_space(), env.action_space(), model.layout.closing_token};
    if (const std::string differ = difference(steps, model.layout); !differ.empty())
      fail("RL2: the tasks' step layout differs from the model's: {}", differ);
    const auto has_weight = [](const auto& p) {
      const auto numbers = p.numbers();
      return p.is_matrix && std::any_of(numbers.begin(), numbers.end(), [](Scalar x) { return x != 0; });
    };
    if (const auto all = parameters_of(model); std::none_of(all.begin(), all.end(), has_weight))
      fail("RL2: all matrices of the model are zero, so it cannot learn (call initialize() first)");
    return config;
  }

  [[nodiscard]] std::string description() const {
    return fmt::format("{}; {} tasks {:08x}", describe(config_), tasks_.size(),
                       crc32c(std::as_bytes(std::span{tasks_})));
  }
  [[nodiscard]] WarmupCosine schedule() const {
    return {config_.optimizer.learning_rate, config_.final_rate_fraction, config_.warmup, config_.updates};
  }

  /// Runs and values the update's trials.
  void act(const Rng& rng) {
    pool_.run(config_.gradient_slots, [&](int s, int) {
      Slot& slot = slots_[static_cast<std::size_t>(s)];
      const Range range = part_of(config_.trials, s, config_.gradient_slots);
      slot.rngs.clear();
      for (std::size_t i = 0; i < range.count; ++i) slot.rngs.push_back(rng.fork(range.first + i));
      slot.trials = run_trials(model_, family_, tasks_, config_.episodes, slot.rngs);
      for (Trial& trial : slot.trials) {
        auto& outputs = slot.scratch.outputs;
        const int rows = trial.row_count();
        reserve_rows(outputs, Index{rows}, Index{output_count_of(model_)});
        model_.forward(trial.window.rows_of(0, slot.scratch.rows), rows, slot.scratch.cache, outputs.topRows(rows));
        value_trial<M>(model_, outputs.topRows(rows), config_.discount, config_.lambda, config_.return_scale, trial);
      }
    });
    trials_.clear();
    for (Slot& slot : slots_)
      for (Trial& trial : slot.trials) trials_.push_back(std::move(trial));
  }

  /// One gradient step along the objective of these trials. Returns the gradient's norm.
  double learn(std::span<const int> numbers, double rate) {
    pool_.run(config_.gradient_slots, [&](int s, int) {
      Slot& slot = slots_[static_cast<std::size_t>(s)];
      M& gradient = gradients_.cleared(s);
      const Range range = part_of(static_cast<int>(numbers.size()), s, config_.gradient_slots);
      slot.loss = slot.steps = 0;
      for (const int number : numbers.subspan(range.first, range.count)) {
        const Trial& trial = trials_[static_cast<std::size_t>(number)];
        const ClippedObjective objective{config_.clip, config_.entropy_weight, config_.value_weight, &trial};
        slot.loss += window_loss(model_, objective, trial.window, 0, slot.scratch, gradient);
        slot.steps += static_cast<double>(trial.history.step_count());
      }
    });
    double loss = 0, steps = 0;
    for (const Slot& slot : slots_) {
      loss += slot.loss;
      steps += slot.steps;
    }
    const double norm = gradients_.reduce(pool_) / steps;
    if (!std::isfinite(loss) || !std::isfinite(norm)) {
      fail("RL2: update {} of {}: loss {}, gradient norm {} (is the learning rate {} too high, or a reward huge?)",
           progress_.update + 1, config_.updates, loss / steps, norm, rate);
    }
    progress_.loss = loss / steps;
    const AdamWUpdate<Scalar> update = optimizer_.next_update(rate, optimizer_.clip_factor(norm) / steps);
    pool_.run(gradients_.chunk_count(), [&](int chunk, int) {
      const auto i = static_cast<std::size_t>(chunk);
      update.apply(gradients_.sum(chunk), weights_[i], means_[i].weights, variances_[i].weights);
    });
    return norm;
  }

  [[nodiscard]] Rl2Metrics finish(std::chrono::steady_clock::time_point begin, double rate, double norm) {
    ClippedTotals totals;
    for (const Slot& slot : slots_) totals += slot.scratch.objective.totals;
    double first = 0, last = 0;
    std::int64_t steps = 0;
    for (const Trial& trial : trials_) {
      first += trial.history.episode(0).total_reward() / config_.trials;
      last += trial.history.episode(config_.episodes - 1).total_reward() / config_.trials;
      steps += trial.history.step_count();
    }
    ++progress_.update;
    progress_.tokens += steps;
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    progress_.seconds += seconds.count();
    return {.update = progress_.update,
            .steps = progress_.tokens,
            .first_return = first,
            .last_return = last,
            .policy_loss = totals.policy / totals.steps,
            .value_error = totals.value_error / totals.steps,
            .entropy = totals.entropy / totals.steps,
            .approximate_kl = totals.approximate_kl / totals.steps,
            .clipped_share = totals.clipped / totals.steps,
            .gradient_norm = norm,
            .rate = rate,
            .seconds = progress_.seconds,
            .steps_per_second = static_cast<double>(steps) / seconds.count()};
  }

  M& model_;
  const F& family_;
  std::vector<int> tasks_;
  Rl2Config config_;
  WorkerPool pool_;
  GradientSlots<M> gradients_;
  AdamW<M> optimizer_;
  std::vector<WeightChunk<Scalar>> weights_, means_, variances_;
  std::vector<Slot> slots_;
  std::vector<Trial> trials_;  // of the last update
  DistilProgress progress_;
};

}  // namespace icrl
