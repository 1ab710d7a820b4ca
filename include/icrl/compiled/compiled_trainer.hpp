// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <memory>
#include <type_traits>
#include <utility>

#include <icrl/compiled/compiled_transformer.hpp>
#include <icrl/history/window_sampler.hpp>
#include <icrl/train/distil_config.hpp>
#include <icrl/train/distil_metrics.hpp>
#include <icrl/train/ranks.hpp>
#include <icrl/train/run_updates.hpp>

namespace icrl {

/// The DistilTrainer of a CompiledTransformer, with the objective of Algorithm Distillation, one rank and no pruning.
/// See DistilTrainer for what its functions do and throw. Checkpoints are the same files.
class CompiledTrainer {
public:
  /// Model and sampler must outlive the trainer, and the model must not be moved or assigned to. Throws Error if they
  /// do not fit each other or the configuration is invalid.
  CompiledTrainer(CompiledTransformer& model, const WindowSampler& sampler, const DistilConfig& config)
      : built_{model.built_->make_trainer(sampler, config)}, averaged_{model}, best_{model} {}
  CompiledTrainer(CompiledTransformer&, const WindowSampler&&, const DistilConfig&) = delete;

  /// One update.
  DistilMetrics step() { return built_->step(); }
  /// The model to evaluate: a snapshot, which later updates do not change until this is called again. Not for
  /// concurrent calls.
  [[nodiscard]] const CompiledTransformer& averaged() const {
    built_->copy_averaged(*averaged_.built_);
    return averaged_;
  }
  /// The weights of the highest score so far, in the same way.
  [[nodiscard]] const CompiledTransformer& best() const {
    built_->copy_best(*best_.built_);
    return best_;
  }
  /// How far the run has come.
  [[nodiscard]] const DistilProgress& progress() const { return built_->progress(); }
  /// The configuration of the run, with the choice that was made in place of automatic products.
  [[nodiscard]] const DistilConfig& config() const { return built_->config(); }
  /// Keeps the averaged weights as the best if their score is higher than any before.
  void offer(double score) { built_->offer(score); }
  /// Writes a checkpoint.
  void save(const std::filesystem::path& path) const { built_->save(path); }
  /// Continues from where `save` was called.
  void restore(const std::filesystem::path& path) { built_->restore(path); }

private:
  std::unique_ptr<detail::BuiltTrainer> built_;
  CompiledTransformer averaged_, best_;
};

/// Trains the model from its current weights; see `distil` of train/distil.hpp.
template <typename Observer>
DistilResult distil(CompiledTransformer& model, const WindowSampler& sampler, const DistilConfig& config,
                    Observer&& observer) {
  detail::check_observer<CompiledTransformer, std::remove_reference_t<Observer>>();
  CompiledTrainer trainer{model, sampler, config};
  OneRank ranks;
  return detail::run_to_end(trainer, model, observer, ranks);
}

/// Without an observer.
inline DistilResult distil(CompiledTransformer& model, const WindowSampler& sampler, const DistilConfig& config) {
  struct Nobody {};
  return distil(model, sampler, config, Nobody{});
}

}  // namespace icrl
