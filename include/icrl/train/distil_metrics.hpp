// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include <icrl/core/target.hpp>

namespace icrl {

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

/// How far a run has come.
struct DistilProgress {
  int update = 0;           ///< updates done
  std::int64_t tokens = 0;  ///< environment steps trained on
  double seconds = 0;       ///< of training, evaluation excluded
  double loss = 0;          ///< of the last update
  int best_update = 0;      ///< after how many updates the best score came; 0 = nothing was scored yet
  double best_score = 0;    ///< the highest so far; 0 if nothing was scored
};

}  // namespace icrl
