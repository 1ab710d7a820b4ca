// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <icrl/train/checkpoint.hpp>
#include <icrl/train/distil_config.hpp>

#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"

namespace icrl::test {

/// What a checkpoint holds of a run on the windows of `run` that prunes. `pruning` is its pruner's description.
template <typename Trainer, typename M>
Checkpoint<M> saved_state(const Trainer& trainer, const SmallRun& run, const M& model, const std::string& pruning,
                          bool keeps_scores = false) {
  const TemporaryFolder folder;
  trainer.save(folder / "state");
  return read_checkpoint(folder / "state", describe(trainer.config()) + "; " + run.sampler.describe() + "; " + pruning,
                         model, true, keeps_scores);
}

}  // namespace icrl::test
