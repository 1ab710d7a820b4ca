// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <icrl/core/rng.hpp>
#include <icrl/history/context_batch.hpp>
#include <icrl/history/step_layout.hpp>

namespace icrl {
namespace detail {

/// What a slot of an update forks for its masks. Smaller streams are those of its windows.
inline constexpr std::uint64_t token_mask_stream = std::uint64_t{1} << 32;

}  // namespace detail

/// Random masking of tokens, with which Algorithm Distillation is trained (Laskin et al., 2022, appendix L). Every row
/// of a batch hides, with `probability`, the step before it: its previous action becomes the null action, its previous
/// reward 0, and its flag gets StepFlag::no_previous, as in the first row of a window. Observations stay, because a
/// row's own action is predicted from its observation (equation 6), and so do extra features, labels and their weights.
///
/// `probability` lies in 0 .. 1. Row t of window b is a function of rng.fork(b) and t. Allocates nothing.
inline void mask_tokens(double probability, const Rng& rng, const StepLayout& layout, ContextBatch& batch) {
  const auto past_size = static_cast<std::size_t>(layout.feature_count() - layout.action_offset());
  const auto row_size = static_cast<std::size_t>(batch.feature_count - batch.image_size);
  for (int b = 0; b < batch.sequence_count; ++b) {
    Rng own = rng.fork(static_cast<std::uint64_t>(b));
    const std::span<float> rows = batch.features_of(b);
    const auto length = static_cast<std::size_t>(batch.lengths[static_cast<std::size_t>(b)]);
    for (std::size_t t = 0; t < length; ++t) {
      if (!own.chance(probability)) continue;
      const std::span<float> past = rows.subspan(t * row_size, row_size).last(past_size);
      layout.write_past(past, {}, 0, static_cast<int>(past.back()) | StepFlag::no_previous);
    }
  }
}

}  // namespace icrl
