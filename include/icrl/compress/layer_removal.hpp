// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include <icrl/compress/smaller_model.hpp>
#include <icrl/compress/window_divergence.hpp>
#include <icrl/core/fail.hpp>

namespace icrl {

/// The parts that stay if one layer after another is removed until `count` are left, each time the one without which
/// the outputs over a batch of windows change least: KL(model || rest), mean per step. This is measured rather than
/// estimated from a gradient, which is a poor estimate for a change as large as removing a layer. One pass over the
/// windows per candidate. Throws Error for a count that the model does not have.
[[nodiscard]] inline KeptParts keep_layers(const CausalTransformer<float>& model, const ContextBatch& batch,
                                           int count) {
  if (count < 1 || count > model.config.layer_count)
    fail("keep layers: the number of layers is {}, it must lie in 1 .. {}", count, model.config.layer_count);
  KeptParts kept = all_parts(model.config);
  while (kept.layers.size() > static_cast<std::size_t>(count)) {
    KeptParts best;
    double least = std::numeric_limits<double>::infinity();
    for (const int layer : kept.layers) {
      KeptParts rest = kept;
      std::erase(rest.layers, layer);
      const double change = window_divergence(model, smaller_model(model, rest), batch);
      if (best.layers.empty() || change < least) {
        least = change;
        best = std::move(rest);
      }
    }
    kept = std::move(best);
  }
  return kept;
}

}  // namespace icrl
