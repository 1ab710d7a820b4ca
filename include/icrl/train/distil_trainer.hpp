// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <icrl/history/window_sampler.hpp>
#include <icrl/math/bfloat16.hpp>
#include <icrl/model/bf16_transformer.hpp>
#include <icrl/nn/adamw.hpp>
#include <icrl/train/checkpoint.hpp>
#include <icrl/train/distil_config.hpp>
#include <icrl/train/gradient_slots.hpp>
#include <icrl/train/objective.hpp>
#include <icrl/train/schedule.hpp>

namespace icrl {

namespace detail {

/// A model without passes in bfloat16.
struct NoPass {
  using Scalar = float;
  struct Cache {};
};
template <typename M>
using Bf16PassOrNone = std::conditional_t<HasBf16Pass<M>, Bf16Pass<M>, NoPass>;

}  // namespace detail

/// What one update did.
struct DistilMetrics {
  int update = 0;                ///< updates so far
  std::int64_t tokens = 0;       ///< environment steps trained on so far
  double loss = 0;               ///< mean over the batch's labels, nats
  double gradient_norm = 0;      ///< before clipping
  double rate = 0;               ///< learning rate
  double seconds = 0;            ///< of training so far, evaluation excluded
  double tokens_per_second = 0;  ///< of this update
};

/// Distils histories into a model, one update a call: the weights follow from the seed and the configuration, bit for
/// bit, at any number of threads and over any number of interruptions. After the first steps an update allocates
/// nothing.
template <Trainable M>
class DistilTrainer {
public:
  using Scalar = typename M::Scalar;

  /// Model and sampler must outlive the trainer. Throws Error if they do not fit each other or the configuration makes
  /// no sense.
  DistilTrainer(M& model, const WindowSampler& sampler, const DistilConfig& config)
      : model_{model},
        sampler_{sampler},
        config_{(validate(config), expect_representable(config), validate_pairing(model, sampler), config)},
        pool_{config.used_threads()},
        slots_{model, config.gradient_slots},
        optimizer_{model, optimizer_config(config)},
        weights_{weight_chunks<Scalar>(model)},
        means_{weight_chunks<Scalar>(optimizer_.mean())},
        variances_{weight_chunks<Scalar>(optimizer_.variance())},
        workers_(static_cast<std::size_t>(pool_.thread_count())),
        parts_(static_cast<std::size_t>(config.gradient_slots)) {
    if (config.weight_average > 0) average_.emplace(model);
    if (average_) averages_ = weight_chunks<Scalar>(*average_);
    config_.products = used_products(model, config.products);
    if constexpr (HasBf16Pass<M>) {
      if (has_bfloat16()) bf16_.emplace(model);
    }
  }
  DistilTrainer(M&, const WindowSampler&&, const DistilConfig&) = delete;
  DistilTrainer(const DistilTrainer&) = delete;
  DistilTrainer& operator=(const DistilTrainer&) = delete;

  /// One update. Throws Error, with weights and all else as before the call, when the loss or its gradient is not
  /// finite.
  DistilMetrics step() {
    const auto begin = std::chrono::steady_clock::now();
    if constexpr (HasBf16Pass<M>) {
      if (bf16_) bf16_->pack();
    }
    const Rng rng = update_rng(progress_.update);
    pool_.run(slots_.slot_count(),
              [&](int slot, int worker) { run_slot(slot, workers_[static_cast<std::size_t>(worker)], rng); });
    Part batch;
    for (const Part& part : parts_) {
      batch.loss += part.loss;
      batch.label_count += part.label_count;
      batch.tokens += part.tokens;
    }
    const double loss = batch.loss / batch.label_count;
    const double norm = slots_.reduce(pool_) / batch.label_count;
    check_finite(loss, norm);
    const double rate = schedule().rate(progress_.update);
    update_weights(rate, optimizer_.clip_factor(norm) / batch.label_count);

    ++progress_.update;
    progress_.tokens += batch.tokens;
    progress_.loss = loss;
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    progress_.seconds += seconds.count();
    return {.update = progress_.update,
            .tokens = progress_.tokens,
            .loss = loss,
            .gradient_norm = norm,
            .rate = rate,
            .seconds = progress_.seconds,
            .tokens_per_second = static_cast<double>(batch.tokens) / seconds.count()};
  }

  /// What is to be evaluated: the moving average of the weights if there is one, else the model itself.
  [[nodiscard]] const M& averaged() const { return average_ ? *average_ : model_; }
  /// The averaged weights that were offered with the highest score so far; without any the present ones.
  [[nodiscard]] const M& best() const { return best_ ? *best_ : averaged(); }
  [[nodiscard]] const DistilProgress& progress() const { return progress_; }
  [[nodiscard]] const DistilConfig& config() const { return config_; }

  /// Keeps the averaged weights as the best if their score is higher than any before.
  void offer(double score) {
    if (std::isnan(score)) fail("distil: the score of update {} is not a number", progress_.update);
    if (best_ && score <= progress_.best_score) return;
    best_.emplace(averaged());
    progress_.best_score = score;
    progress_.best_update = progress_.update;
  }

  /// Writes all that the rest of the run depends on.
  void save(const std::filesystem::path& path) const {
    write_checkpoint<M>(path, description(), progress_, model_, optimizer_.mean(), optimizer_.variance(),
                        pointer(average_), pointer(best_));
  }
  /// Goes on, bit for bit, where `save` was called. Throws Error, and changes nothing, for a damaged checkpoint or one
  /// of another model or configuration.
  void restore(const std::filesystem::path& path) {
    Checkpoint<M> found = read_checkpoint(path, description(), model_);
    if (found.average.has_value() != average_.has_value()) {
      fail("checkpoint \"{}\": {} averaged weights, this run {}", path.string(), found.average ? "has" : "has no",
           average_ ? "wants them" : "wants none");
    }
    if (const int update = found.progress.update; update > config_.updates)
      fail("checkpoint \"{}\": is of update {}, this run has {}", path.string(), update, config_.updates);
    progress_ = found.progress;
    copy_weights(found.model, model_);
    optimizer_.restore(found.mean, found.variance, progress_.update);
    if (average_) copy_weights(*found.average, *average_);
    best_ = std::move(found.best);
  }

private:
  using Bf16 = detail::Bf16PassOrNone<M>;

  /// The memory of a thread's passes; of one of them, the other stays empty.
  struct Worker {
    WindowScratch<M> plain;
    WindowScratch<Bf16> bf16;
  };

  /// A slot's share of a batch.
  struct Part {
    ContextBatch windows;
    double loss = 0, label_count = 0;
    std::int64_t tokens = 0;
  };

  /// A checkpoint belongs to one configuration and one set of windows.
  [[nodiscard]] std::string description() const { return describe(config_) + "; " + sampler_.describe(); }

  static const M* pointer(const std::optional<M>& model) { return model ? &*model : nullptr; }

  /// Numbers that are sound in double may be none in the model's precision.
  static void expect_representable(const DistilConfig& config) {
    constexpr auto least = std::numeric_limits<Scalar>::min(), most = std::numeric_limits<Scalar>::max();
    const auto in_range = [](const char* name, double value, double low, double high) {
      if (!(value >= low && value <= high))
        fail("distil: {} is {}, for this model it must lie in {} .. {}", name, value, low, high);
    };
    in_range("learning_rate", config.learning_rate, least, most);
    in_range("epsilon", config.epsilon, least, most);
    in_range("weight_decay", config.weight_decay * config.learning_rate, 0, 1);
    if (Scalar(config.beta1) == 1 || Scalar(config.beta2) == 1)
      fail("distil: betas {} and {} are 1 in this model's precision", config.beta1, config.beta2);
  }

  static AdamWConfig optimizer_config(const DistilConfig& config) {
    return {.learning_rate = config.learning_rate,
            .beta1 = config.beta1,
            .beta2 = config.beta2,
            .epsilon = config.epsilon,
            .weight_decay = config.weight_decay,
            .max_gradient_norm = config.clip};
  }

  [[nodiscard]] bool has_bfloat16() const { return config_.products == Products::bfloat16; }

  static Products used_products(const M& model, Products wanted) {
    bool can_be = false;
    if constexpr (HasBf16Pass<M>) can_be = Bf16Pass<M>::can_be(model);
    if (wanted == Products::bfloat16 && !can_be) {
      fail(
          "distil: this model cannot multiply in bfloat16, which takes float weights and heads of an even size; choose "
          "Products::automatic or Products::full");
    }
    if (wanted != Products::automatic) return wanted;
    return can_be && bfloat16_is_quicker() ? Products::bfloat16 : Products::full;
  }

  static void validate_pairing(const M& model, const WindowSampler& sampler) {
    const WindowConfig& windows = sampler.config();
    const std::optional<int> max_window = model.max_window();
    if (max_window && windows.context != *max_window)
      fail("distil: windows of {} steps for a model with a context of {}", windows.context, *max_window);
    if (HasWindowStart<M> && windows.start != window_start_of(model)) {
      fail("distil: the windows start {}, but the model says that it is trained on windows that start {}",
           to_string(windows.start), to_string(window_start_of(model)));
    }
    if (max_window && windows.start == WindowStart::episode && sampler.longest_episode() > windows.context) {
      fail(
          "distil: the longest episode has {} rows, windows that start {} have {}: no agent could act to the end of it; "
          "take a longer context or WindowStart::anywhere",
          sampler.longest_episode(), to_string(windows.start), windows.context);
    }
    const auto has_weight = [](const auto& p) {
      return p.rows != 1 && std::any_of(p.data, p.data + p.rows * p.columns, [](Scalar x) { return x != 0; });
    };
    if (const auto all = parameters_of(model); std::none_of(all.begin(), all.end(), has_weight))
      fail("distil: all matrices of the model are zero, nothing can be learned (was it initialised?)");
    if (const std::string differ = difference(sampler.layout(), model.layout); !differ.empty())
      fail("distil: the windows' step layout differs from the model's: {}", differ);
  }

  [[nodiscard]] WarmupCosine schedule() const {
    return {config_.learning_rate, config_.final_rate_share, config_.warmup, config_.updates};
  }

  [[nodiscard]] Rng update_rng(int update) const { return Rng{config_.seed}.fork(static_cast<std::uint64_t>(update)); }

  /// The slot's windows are drawn, those of the next update asked for, run forward and back here, by one thread, so
  /// that each stays in that core's cache.
  void run_slot(int slot, Worker& worker, const Rng& rng) {
    Part& part = parts_[static_cast<std::size_t>(slot)];
    const auto first_window = [&](int s) {
      return static_cast<int>(std::int64_t{config_.batch} * s / slots_.slot_count());
    };
    const int count = first_window(slot + 1) - first_window(slot);
    M& gradient = slots_.cleared(slot);
    part.loss = part.label_count = 0;
    part.tokens = 0;
    if (count == 0) return;
    sampler_.sample(count, rng.fork(static_cast<std::uint64_t>(slot)), part.windows);
    if (progress_.update + 1 < config_.updates)
      sampler_.prefetch(count, update_rng(progress_.update + 1).fork(static_cast<std::uint64_t>(slot)));
    for (int window = 0; window < count; ++window) {
      part.loss += loss_of(part.windows, window, worker, gradient);
      for (const float weight : part.windows.weights_of(window)) part.label_count += static_cast<double>(weight);
      part.tokens += part.windows.lengths[static_cast<std::size_t>(window)];
    }
  }

  /// By the pass that the run has chosen.
  double loss_of(const ContextBatch& windows, int window, Worker& worker, M& gradient) const {
    if constexpr (HasBf16Pass<M>) {
      if (bf16_) return window_loss(*bf16_, windows, window, config_.label_smoothing, worker.bf16, gradient);
    }
    return window_loss(model_, windows, window, config_.label_smoothing, worker.plain, gradient);
  }

  void check_finite(double loss, double norm) const {
    if (std::isfinite(loss) && std::isfinite(norm)) return;
    fail(
        "distil: update {} of {}: loss {}, gradient norm {}; the weights are still those before it (is the "
        "learning rate {} too high, or an observation or reward huge?)",
        progress_.update + 1, config_.updates, loss, norm, config_.learning_rate);
  }

  void update_weights(double rate, double gradient_scale) {
    const AdamWUpdate<Scalar> update = optimizer_.next_update(rate, gradient_scale);
    const int n = optimizer_.step_count();
    // Early averages would hold on to the first weights, which know nothing: their memory grows with the run.
    const auto average_share = Scalar(1 - std::min(config_.weight_average, static_cast<double>(n) / (9 + n)));
    pool_.run(slots_.chunk_count(), [&](int index, int) {
      const auto i = static_cast<std::size_t>(index);
      update.apply(slots_.sum(index), weights_[i], means_[i].weights, variances_[i].weights);
      if (average_) move_towards(weights_[i].weights, average_share, averages_[i].weights);
    });
  }

  static void move_towards(std::span<const Scalar> goal, Scalar share, std::span<Scalar> average) {
    for (std::size_t i = 0; i < goal.size(); ++i) average[i] += share * (goal[i] - average[i]);
  }

  M& model_;
  const WindowSampler& sampler_;
  DistilConfig config_;
  WorkerPool pool_;
  GradientSlots<M> slots_;
  AdamW<M> optimizer_;
  std::optional<M> average_, best_;
  std::vector<WeightChunk<Scalar>> weights_, means_, variances_, averages_;
  std::vector<Worker> workers_;
  std::vector<Part> parts_;  // by slot
  DistilProgress progress_;
  std::optional<Bf16> bf16_;  // if products are in bfloat16
};

}  // namespace icrl
