// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <icrl/compress/action_divergence.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/history/context_batch.hpp>
#include <icrl/model/concepts.hpp>

namespace icrl {

/// KL(reference || model), the mean over all labeled steps of the windows, nats. Both models read the same windows,
/// which have to fit both. Throws Error if no step has a label.
template <Trainable Reference, Trainable M>
[[nodiscard]] double window_divergence(const Reference& reference, const M& model, const ContextBatch& windows) {
  using R = typename Reference::Scalar;
  using S = typename M::Scalar;
  typename Reference::Cache reference_cache;
  typename M::Cache cache;
  ActionDivergence::Scratch scratch;
  const auto width = static_cast<std::size_t>(reference.actions.parameter_count());
  Matrix<R> expected(windows.context, output_count_of(reference));
  Matrix<S> found(windows.context, output_count_of(model));
  std::vector<float> rows;
  double total = 0, steps = 0;
  for (int window = 0; window < windows.sequence_count; ++window) {
    const int length = windows.lengths[static_cast<std::size_t>(window)];
    if (length == 0) continue;
    const auto features = windows.rows_of(window, rows);
    reference.forward(features, length, reference_cache, expected.topRows(length));
    model.forward(features, length, cache, found.topRows(length));
    const auto weights = windows.weights_of(window);
    for (Index t = 0; t < length; ++t) {
      if (weights[static_cast<std::size_t>(t)] == 0) continue;
      total += ActionDivergence{}.template add_gradient<R, S>(reference.actions, {row_data(expected, t), width},
                                                              {row_data(found, t), width}, 1, {}, scratch);
      ++steps;
    }
  }
  if (steps == 0) fail("window divergence: no step of {} windows has a label", windows.sequence_count);
  return total / steps;
}

}  // namespace icrl
