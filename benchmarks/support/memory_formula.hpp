// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/math/matrix.hpp>
#include <icrl/model/causal_transformer.hpp>
#include <icrl/nn/parameters.hpp>
#include <icrl/train/distil_config.hpp>

// What memory should be, in bytes, from the shapes of what is kept: C = width, L = layers, H = heads, T = context. The
// few hundred bytes of small vectors are left out.
namespace icrl::bench {

/// An agent's: two contexts, each with the keys and the values (C, padded T) of every layer, and the rows of the last
/// episode.
inline double agent_bytes(const CausalTransformer<float>& model) {
  constexpr Index contexts = 2;
  const Index C = model.config.width, L = model.config.layer_count, T = model.config.context;
  const Index numbers = contexts * L * 2 * C * padded<float>(T) + T * model.layout.feature_count();
  return static_cast<double>(numbers) * sizeof(float);
}

/// What one thread keeps of a window between forward and backward (the Cache structures), and within a call (Scratch).
inline Index activation_count(const TransformerConfig& config, Index output_size) {
  const Index C = config.width, L = config.layer_count, H = config.head_count, T = config.context;
  const Index hidden = config.hidden_size(), blocks = (T + 15) / 16;
  const Index norms = 2 * T * (C + 1), attention = 4 * T * C, mlp = 2 * T * hidden;
  const Index probabilities = H * 16 * 16 * blocks * (blocks + 1) / 2;  // rows by 16, each block up to its diagonal
  const Index layer = norms + attention + probabilities + mlp;
  const Index scratch = 4 * T * C + (C / H + 16) * 16 * blocks + T * hidden + 2 * T * C;
  const Index around_layers = 4 * T * C + T * (C + 1) + 2 * T * output_size;
  return L * layer + scratch + around_layers;
}

/// Training's: weights, their two moments and a gradient a slot; a window's activations a thread; the batch.
inline double training_bytes(const CausalTransformer<float>& model, const DistilConfig& config) {
  const Index weights = (3 + config.gradient_slots) * parameter_count(model);
  const Index activations = config.used_threads() * activation_count(model.config, model.actions.parameter_count());
  const Index row_size = model.layout.feature_count() + model.layout.action_size() + 1;  // features, label, weight
  const Index windows = Index{config.batch} * model.config.context * row_size;
  return static_cast<double>(weights + activations + windows) * sizeof(float);
}

}  // namespace icrl::bench
