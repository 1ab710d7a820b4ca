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
#include <utility>
#include <vector>

#include <icrl/history/window_sampler.hpp>
#include <icrl/nn/adamw.hpp>
#include <icrl/train/checkpoint.hpp>
#include <icrl/train/distil_checks.hpp>
#include <icrl/train/distil_config.hpp>
#include <icrl/train/distil_metrics.hpp>
#include <icrl/train/gradient_pruner.hpp>
#include <icrl/train/gradient_slots.hpp>
#include <icrl/train/objective.hpp>
#include <icrl/train/ranks.hpp>
#include <icrl/train/run_pass.hpp>
#include <icrl/train/schedule.hpp>
#include <icrl/train/token_mask.hpp>
#include <icrl/train/weight_masks.hpp>

namespace icrl {

/// Distils histories into a model, one update per call. For a given seed and configuration, the weights are
/// bit-identical with any number of threads and interruptions. With one rank, an update allocates nothing after the
/// first ones.
///
/// Several ranks (see ranks.hpp) may train one model: each has the whole model and a share of the gradient slots, all
/// do the same update, and the weights are bit-identical to those of a single rank. `objective` is what training
/// minimizes. `pruner` says which weights are pruned (see weight_masks.hpp and gradient_pruner.hpp): their gradients
/// are ignored, and their weights, moments and averages are exactly zero.
template <Trainable M, Objective<M> O = ActionCrossEntropy, Ranks R = OneRank, Pruner<M> P = NoPruner>
class DistilTrainer {
public:
  using Scalar = typename M::Scalar;

  /// Model and sampler must outlive the trainer. Throws Error if they do not fit each other or the configuration is
  /// invalid.
  DistilTrainer(M& model, const WindowSampler& sampler,
                const DistilConfig& config) requires std::same_as<O, ActionCrossEntropy>
      : DistilTrainer{model, sampler, config, O{config.label_smoothing}} {}
  /// The same with what training minimizes, the processes that take part, and what is pruned.
  DistilTrainer(M& model, const WindowSampler& sampler, const DistilConfig& config, O objective, R ranks = {},
                P pruner = {})
      : model_{model},
        sampler_{sampler},
        config_{checked(config, model, sampler, objective, ranks, pruner)},
        objective_{std::move(objective)},
        ranks_{std::move(ranks)},
        pass_{model, config_},
        pool_{config.used_threads()},
        slots_{model, config.gradient_slots / ranks_.size()},
        pruning_{std::move(pruner), model, slots_.sum()},
        optimizer_{model, detail::optimizer_config(config)},
        weights_{weight_chunks<Scalar>(model)},
        means_{weight_chunks<Scalar>(optimizer_.mean())},
        variances_{weight_chunks<Scalar>(optimizer_.variance())},
        workers_(static_cast<std::size_t>(pool_.thread_count())),
        parts_(static_cast<std::size_t>(slots_.slot_count())) {
    if (config.ema_decay > 0) average_.emplace(model);
    if (average_) averages_ = weight_chunks<Scalar>(*average_);
  }
  DistilTrainer(M&, const WindowSampler&&, const DistilConfig&) = delete;
  DistilTrainer(M&, const WindowSampler&&, const DistilConfig&, O, R = {}, P = {}) = delete;
  DistilTrainer(const DistilTrainer&) = delete;
  DistilTrainer& operator=(const DistilTrainer&) = delete;

  /// One update. Throws Error, with everything as before the call, if the run's updates are done, and if the loss or
  /// its gradient is not finite; weights that the pruner has pruned in this call stay pruned.
  DistilMetrics step() {
    if (progress_.update >= config_.updates) fail("distil: all {} updates of this run are done", config_.updates);
    const auto begin = std::chrono::steady_clock::now();
    if (pruning_.begin_update(progress_.update, model_)) prune();
    pass_.pack();
    const Rng rng = update_rng(progress_.update);
    pool_.run(slots_.slot_count(),
              [&](int slot, int worker) { run_slot(slot, workers_[static_cast<std::size_t>(worker)], rng); });
    const detail::SlotTotals batch = batch_totals();
    const double loss = batch.loss / batch.label_count;
    const double norm = reduce_gradient(loss, batch.label_count);
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

  /// The model to evaluate: the moving average of the weights if there is one, else the model itself.
  [[nodiscard]] const M& averaged() const { return average_ ? *average_ : model_; }
  /// The averaged weights that were offered with the highest score so far; the current ones if none were offered.
  [[nodiscard]] const M& best() const { return best_ ? *best_ : averaged(); }
  /// How far the run has come.
  [[nodiscard]] const DistilProgress& progress() const { return progress_; }
  /// The configuration of the run, with the choice that was made in place of automatic products.
  [[nodiscard]] const DistilConfig& config() const { return config_; }
  /// The masks of the last update; none if nothing is pruned.
  [[nodiscard]] const WeightMasks& masks() const { return pruning_.masks(); }

  /// Throws Error, on all ranks, unless all have the same weights, update, configuration and windows, judging by their
  /// descriptions. All ranks have to call it.
  void check_equal_ranks() {
    if (ranks_.size() == 1) return;
    const std::string state = fmt::format("{}; {}; update {}", fingerprint(model_), description(), progress_.update);
    const std::uint32_t mine = crc32c(std::as_bytes(std::span{state}));
    std::vector<std::uint32_t> all(static_cast<std::size_t>(ranks_.size()));
    gather_from_ranks(ranks_, std::span{&mine, 1}, std::span{all});
    detail::validate_equal_ranks(all);
  }

  /// Keeps the averaged weights as the best if their score is higher than any before.
  void offer(double score) {
    if (std::isnan(score)) fail("distil: the observer gave NaN as the score of update {}", progress_.update);
    if (best_ && score <= progress_.best_score) return;
    best_.emplace(averaged());
    progress_.best_score = score;
    progress_.best_update = progress_.update;
  }

  /// Writes everything that the rest of the run depends on.
  void save(const std::filesystem::path& path) const {
    write_checkpoint<M>(path, description(), progress_, model_, optimizer_.mean(), optimizer_.variance(),
                        pointer(average_), pointer(best_), pruning_.prunes ? &masks() : nullptr,
                        pruning_.keeps_scores() ? &pruning_.scores() : nullptr);
  }
  /// Continues, bit for bit, from where `save` was called. Throws Error, and changes nothing, for a damaged checkpoint
  /// or one of another model or configuration.
  void restore(const std::filesystem::path& path) {
    Checkpoint<M> found = read_checkpoint(path, description(), model_, pruning_.prunes, pruning_.keeps_scores());
    if (found.average.has_value() != average_.has_value()) {
      fail("checkpoint \"{}\": {} averaged weights, this run {}", path.string(), found.average ? "has" : "has no",
           average_ ? "needs them" : "has none");
    }
    if (const int update = found.progress.update; update > config_.updates)
      fail("checkpoint \"{}\": is of update {}, but this run has only {} updates", path.string(), update,
           config_.updates);
    progress_ = found.progress;
    if (pruning_.prunes) {
      pruning_.restore(std::move(found.masks), std::move(found.scores));
      slots_.set_masks(detail::mask_chunks(masks(), model_));
    }
    copy_weights(found.model, model_);
    optimizer_.restore(found.mean, found.variance, progress_.update);
    if (average_) copy_weights(*found.average, *average_);
    best_ = std::move(found.best);
  }

private:
  using Pass = detail::RunPass<M, O>;

  /// A slot's share of a batch.
  struct Part {
    ContextBatch windows;
    detail::SlotTotals totals;
  };

  /// The configuration with the choice of products.
  static DistilConfig checked(const DistilConfig& config, const M& model, const WindowSampler& sampler,
                              const O& objective, const R& ranks, const P& pruner) {
    validate(config);
    detail::check_representable<Scalar>("distil", detail::optimizer_config(config));
    detail::validate_pairing(model, sampler);
    detail::validate_ranks(ranks.size(), config);
    detail::validate_objective(objective, config);
    pruner.validate(config.updates);
    DistilConfig used = config;
    used.products = detail::used_products(model, config);
    return used;
  }

  /// A checkpoint belongs to one configuration and one set of windows.
  [[nodiscard]] std::string description() const {
    const std::string aim = objective_.describe(), pruning = pruning_.pruner().describe();
    return describe(config_) + "; " + sampler_.describe() + (aim.empty() ? "" : "; " + aim) +
           detail::describe_fixed_tensors(model_) + (pruning.empty() ? "" : "; " + pruning);
  }

  static const M* pointer(const std::optional<M>& model) { return model ? &*model : nullptr; }

  [[nodiscard]] WarmupCosine schedule() const {
    return {config_.learning_rate, config_.final_rate_fraction, config_.warmup, config_.updates};
  }

  [[nodiscard]] Rng update_rng(int update) const { return Rng{config_.seed}.fork(static_cast<std::uint64_t>(update)); }

  /// Draws the slot's windows, masks tokens, prefetches those of the next update, and runs forward and backward on one
  /// thread, so that the data stays in that core's cache. `mine` counts this rank's slots.
  void run_slot(int mine, typename Pass::Scratch& scratch, const Rng& rng) {
    Part& part = parts_[static_cast<std::size_t>(mine)];
    const auto first_window = [&](int s) {
      return static_cast<int>(std::int64_t{config_.batch} * s / config_.gradient_slots);
    };
    const int slot = ranks_.rank() * slots_.slot_count() + mine, count = first_window(slot + 1) - first_window(slot);
    M& gradient = slots_.cleared(mine);
    part.totals = {};
    if (count == 0) return;
    const Rng own = rng.fork(static_cast<std::uint64_t>(slot));
    sampler_.sample(count, own, part.windows);
    if (config_.token_mask > 0)
      mask_tokens(config_.token_mask, own.fork(detail::token_mask_stream), sampler_.layout(), part.windows);
    if (progress_.update + 1 < config_.updates)
      sampler_.prefetch(count, update_rng(progress_.update + 1).fork(static_cast<std::uint64_t>(slot)));
    for (int window = 0; window < count; ++window) {
      const Rng masks = own.fork(detail::dropout_stream).fork(static_cast<std::uint64_t>(window));
      part.totals.loss += pass_.loss(objective_, part.windows, window, masks, scratch, gradient);
      for (const float weight : part.windows.weights_of(window)) part.totals.label_count += static_cast<double>(weight);
      part.totals.tokens += part.windows.lengths[static_cast<std::size_t>(window)];
    }
  }

  [[nodiscard]] detail::SlotTotals batch_totals() {
    totals_.clear();
    for (const Part& part : parts_) totals_.push_back(part.totals);
    return detail::sum_totals(ranks_, std::span<const detail::SlotTotals>{totals_});
  }

  /// Sums the gradient and returns the norm of the mean loss's. The pruner may change the masks by it.
  double reduce_gradient(double loss, double label_count) {
    const bool is_read = pruning_.reads_gradient(progress_.update);
    const double norm = slots_.reduce(pool_, ranks_, is_read) / label_count;
    detail::check_finite(loss, norm, progress_.update, config_);
    if (!is_read) return norm;
    if (pruning_.on_gradient(progress_.update, model_, 1 / label_count)) prune();
    return slots_.leave_out_pruned(pool_) / label_count;
  }

  void update_weights(double rate, double gradient_scale) {
    const AdamWUpdate<Scalar> update = optimizer_.next_update(rate, gradient_scale);
    const int n = optimizer_.step_count();
    // Early averages would hold on to the first weights, which know nothing: their memory grows with the run.
    const auto average_share = Scalar(1 - std::min(config_.ema_decay, static_cast<double>(n) / (9 + n)));
    pool_.run(slots_.chunk_count(), [&](int index, int) {
      const auto i = static_cast<std::size_t>(index);
      update.apply(slots_.sum(index), weights_[i], means_[i].weights, variances_[i].weights);
      if (average_) detail::move_towards<Scalar>(weights_[i].weights, average_share, averages_[i].weights);
    });
  }

  /// Sets weights that new masks prune to zero, with their moments and average. They stay zero, because AdamW with a
  /// zero gradient keeps zeros. The best weights so far had other masks, so they are forgotten.
  void prune() {
    slots_.set_masks(detail::mask_chunks(masks(), model_));
    for (M* weights : {&model_, &optimizer_.mean(), &optimizer_.variance(), average_ ? &*average_ : nullptr})
      if (weights != nullptr) apply_masks(masks(), *weights);
    best_.reset();
    progress_.best_update = 0;
    progress_.best_score = 0;
  }

  M& model_;
  const WindowSampler& sampler_;
  DistilConfig config_;
  O objective_;
  R ranks_;
  Pass pass_;
  WorkerPool pool_;
  GradientSlots<M> slots_;
  detail::PruningRun<M, P> pruning_;
  AdamW<M> optimizer_;
  std::optional<M> average_, best_;
  std::vector<WeightChunk<Scalar>> weights_, means_, variances_, averages_;
  std::vector<typename Pass::Scratch> workers_;
  std::vector<Part> parts_;                 // by slot
  std::vector<detail::SlotTotals> totals_;  // the same without windows
  DistilProgress progress_;
};

}  // namespace icrl
