// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <vector>

#include <icrl/compress/pruning.hpp>
#include <icrl/train/gradient_pruner.hpp>

namespace icrl {

/// Adds an update to the scores of movement pruning (Sanh, Wolf and Rush, 2020, section 4):
///   score -= (dloss/dweight) weight
/// so that a weight whose gradient pulls it toward zero loses score, and one that it pushes away gains. Weights and
/// gradient of the mean loss are those before the update, and before clipping. Pruned weights, which are zero, keep
/// their score.
template <std::floating_point S>
void add_movement(const LossGradient<S>& gradient, WeightScores& scores) {
  for (TensorScores& one : scores) {
    const TensorGradient<S>& tensor = gradient.tensor(one.name);
    for (std::size_t i = 0; i < one.numbers.size(); ++i) {
      one.numbers[i] -= gradient.scale * static_cast<double>(tensor.sum[i]) * static_cast<double>(tensor.weights[i]);
    }
  }
}

/// Scores of zero for the tensors that `config` prunes. Throws Error for one that the model does not have.
template <Parameterized M>
[[nodiscard]] WeightScores zero_movement(const M& model, const PruneConfig& config) {
  WeightScores scores;
  for (const auto& p : detail::tensors_to_prune(model, config.weights))
    scores.push_back({p.name, std::vector<double>(p.numbers().size())});
  return scores;
}

}  // namespace icrl
