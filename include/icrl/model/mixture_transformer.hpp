// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <string_view>
#include <tuple>
#include <vector>

#include <icrl/history/context_batch.hpp>
#include <icrl/model/causal_transformer.hpp>
#include <icrl/nn/mixture_of_experts.hpp>

namespace icrl {

/// The shape of a `MixtureTransformer`: `hidden` is the width inside each expert.
///
///   MixtureTransformerConfig config{{.width = 64, .hidden = 128}, {.expert_count = 8, .experts_per_token = 2}};
struct MixtureTransformerConfig : TransformerConfig, MixtureConfig {
  static constexpr auto fields() { return std::tuple_cat(TransformerConfig::fields(), MixtureConfig::fields()); }

  friend bool operator==(const MixtureTransformerConfig&, const MixtureTransformerConfig&) = default;
};

/// Throws Error naming the first invalid value.
inline void validate(const MixtureTransformerConfig& config) {
  validate(static_cast<const TransformerConfig&>(config));
  validate(static_cast<const MixtureConfig&>(config));
}

/// The parts of a transformer with experts instead of the feed-forward layer of every block.
template <std::floating_point S>
struct MixtureParts : DenseParts<S> {
  static constexpr std::string_view kind = "mixture_of_experts_transformer";
  using Config = MixtureTransformerConfig;
  using FeedForward = MixtureOfExperts<S>;
};

/// A causal transformer whose feed-forward layers are mixtures of experts: more weights at the same work per step.
template <std::floating_point S>
using MixtureTransformer = CausalTransformer<S, MixtureParts<S>>;

/// How the tokens of a batch's windows are distributed over the experts of each layer.
template <std::floating_point S>
[[nodiscard]] std::vector<ExpertLoad> expert_loads(const MixtureTransformer<S>& model, const ContextBatch& batch) {
  std::vector<ExpertLoad> loads(model.blocks.size());
  typename MixtureTransformer<S>::Cache cache;
  Matrix<S> outputs(batch.context, model.actions.parameter_count());
  std::vector<float> rows;
  for (int window = 0; window < batch.sequence_count; ++window) {
    const int steps = batch.lengths[static_cast<std::size_t>(window)];
    model.forward(batch.rows_of(window, rows), steps, cache, outputs.topRows(steps));
    for (std::size_t i = 0; i < loads.size(); ++i)
      model.blocks[i].feed_forward.add_load(cache.blocks[i].feed_forward, loads[i]);
  }
  return loads;
}

}  // namespace icrl
