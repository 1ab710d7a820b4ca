// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <type_traits>
#include <utility>

#include <icrl/train/distil_trainer.hpp>
#include <icrl/train/run_updates.hpp>

namespace icrl {

/// Trains the model from its current weights. The observer may have `on_update(const DistilMetrics&)` and
/// `on_evaluate(const M&, int update) -> double`, a score. If it scores, the model ends with the weights of the highest
/// score (of equal scores, the first), else with the last ones; with `ema_decay` these are averaged weights. If the
/// checkpoint file exists, training resumes from it.
///
/// `objective` is what training minimizes (objective.hpp), `ranks` are the processes that train together (ranks.hpp):
/// each calls this with the same arguments, rank 0 writes the checkpoint, and all read it. Throws Error on all ranks if
/// they do not start from the same state. Scores are those of rank 0. `pruner` says which weights are pruned
/// (weight_masks.hpp): those stay at exactly zero, and the best weights are chosen among those of the last masks.
///
/// Passes on what the observer throws; the model then has the weights of the last update, not their moving average.
template <Trainable M, typename Observer, Objective<M> O, Ranks R = OneRank, Pruner<M> P = NoPruner>
DistilResult distil(M& model, const WindowSampler& sampler, const DistilConfig& config, Observer&& observer,
                    const O& objective, R ranks = {}, P pruner = {}) {
  detail::check_observer<M, std::remove_reference_t<Observer>>();
  DistilTrainer<M, O, R, P> trainer{model, sampler, config, objective, ranks, std::move(pruner)};
  return detail::run_to_end(trainer, model, observer, ranks);
}

/// With the objective of Algorithm Distillation.
template <Trainable M, typename Observer, Ranks R = OneRank>
DistilResult distil(M& model, const WindowSampler& sampler, const DistilConfig& config, Observer&& observer,
                    R ranks = {}) {
  return distil(model, sampler, config, std::forward<Observer>(observer), ActionCrossEntropy{config.label_smoothing},
                std::move(ranks));
}

/// Without an observer.
template <Trainable M>
DistilResult distil(M& model, const WindowSampler& sampler, const DistilConfig& config) {
  struct Nobody {};
  return distil(model, sampler, config, Nobody{});
}

}  // namespace icrl
