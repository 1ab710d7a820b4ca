// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include <icrl/train/objective.hpp>

#include "support/small_run.hpp"

namespace icrl::test {

/// A run whose batches are summed in one part, so that a plain loop can repeat them.
inline DistilConfig one_slot_distil(int updates) {
  DistilConfig config = small_distil(updates);
  config.batch = 3;
  config.gradient_slots = 1;
  return config;
}

/// The gradient of the mean loss of an update of such a run, pruned weights included.
template <typename M>
M batch_gradient(const SmallRun& run, const DistilConfig& config, const M& model, int update) {
  M gradient = model;
  set_zero(gradient);
  ContextBatch batch;
  run.sampler.sample(config.batch, Rng{config.seed}.fork(static_cast<std::uint64_t>(update)).fork(0), batch);
  WindowScratch<M> scratch;
  double labels = 0;
  for (int window = 0; window < config.batch; ++window)
    (void)window_loss(model, ActionCrossEntropy{}, batch, window, scratch, gradient);
  for (const float weight : batch.weights) labels += static_cast<double>(weight);
  for (const auto& p : parameters_of(gradient))
    for (auto& number : p.numbers()) number /= static_cast<typename M::Scalar>(labels);
  return gradient;
}

}  // namespace icrl::test
