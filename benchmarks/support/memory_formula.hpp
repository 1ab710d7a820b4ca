// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include <icrl/math/matrix.hpp>
#include <icrl/model/causal_transformer.hpp>
#include <icrl/nn/parameters.hpp>
#include <icrl/train/distil_config.hpp>

// What memory should be, in bytes, from the shapes of what is kept: C = width, L = layers, H = heads, T = context. The
// few hundred bytes of small vectors are left out.
namespace icrl::bench {

/// An agent's: two contexts, each with the keys and the values (C, padded T) of every layer and a gap to the next, and
/// the rows of the last episode.
inline double agent_bytes(const CausalTransformer<float>& model) {
  constexpr Index contexts = 2;
  const Index C = model.config.width, L = model.config.layer_count, T = model.config.context;
  const Index context = L * 2 * C * padded<float>(T) + static_cast<Index>(LargePageArray<float>::gap);
  const Index numbers = contexts * context + T * model.layout.feature_count();
  return static_cast<double>(numbers) * sizeof(float);
}

/// Numbers of 4 bytes: `heap` lie in memory of their own (Matrix), `shared` fill pages of 2 MB together (Buffer).
struct Numbers {
  Index heap = 0, shared = 0;
};

/// What one thread keeps of a window between forward and backward (the Cache structures) and within a call (Scratch).
inline Numbers activation_count(const TransformerConfig& config, Index output_size, Products products) {
  const Index C = config.width, L = config.layer_count, H = config.head_count, T = config.context;
  const Index hidden = config.hidden_size(), rows = (T + 15) / 16 * 16;
  const Index norms = 2 * T * (C + 1), around_layers = 4 * T * C + T * (C + 1) + 2 * T * output_size;
  if (products == Products::full) {
    const Index probabilities = H * rows * (rows + 16) / 2;  // rows by 16, each block up to its diagonal
    const Index heap = L * (norms + 4 * T * C + 2 * T * hidden) + 6 * T * C + T * hidden + around_layers;
    return {heap, L * probabilities + (C / H + 16) * rows};
  }
  // Two numbers in bfloat16 take the place of one; what lies between two linear maps is kept for a block of 48 rows
  // only.
  const Index columns = (T + 15) / 16;
  const Index triangle = 16 * (columns * ((T + 1) / 2) - 4 * columns * (columns - 1));  // keys by 16, pairs of queries
  const Index attention = T * C * 5 / 2 + H * (triangle + T), mlp = T * C / 2 + T * hidden;
  const Index blocks = 48 * (C * 5 / 2 + hidden / 2) + (C / H / 2 + 24) * rows + triangle + 16 * C / H;
  const Index scratch = T * C * 11 / 2 + T * hidden / 2 + T * H + blocks;
  return {L * norms + around_layers + 3 * T * C + 48 * (5 * C + hidden), L * (attention + mlp) + scratch};
}

/// The matrices of the blocks in bfloat16, as they are and transposed, their columns in panels of 64 bytes times four;
/// and those of one block on the way there.
inline Index rounded_count(const TransformerConfig& config) {
  const Index C = config.width, L = config.layer_count, hidden = config.hidden_size();
  const auto both = [](Index in, Index out) {
    const auto panels = [](Index columns) { return (columns + 63) / 64 * 64; };
    return in / 2 * panels(out) + out / 2 * panels(in);
  };
  return L * (both(C, 3 * C) + both(C, C) + both(C, hidden) + both(hidden, C)) + 4 * C * C + 2 * C * hidden;
}

/// Training's: weights, their two moments and a gradient a slot; a window's activations a thread; the batch. What
/// shares pages takes whole ones. `config` is a trainer's, which says what products it uses.
inline double training_bytes(const CausalTransformer<float>& model, const DistilConfig& config) {
  const Index weights = (3 + config.gradient_slots) * parameter_count(model), threads = config.used_threads();
  const Numbers activations = activation_count(model.config, model.actions.parameter_count(), config.products);
  const Index rounded = config.products == Products::bfloat16 ? rounded_count(model.config) : 0;
  const Index row_size = model.layout.feature_count() + model.layout.action_size() + 1;  // features, label, weight
  const Index windows = Index{config.batch} * model.config.context * row_size;
  const double heap = sizeof(float) * static_cast<double>(weights + threads * activations.heap + windows);
  const double shared = sizeof(float) * static_cast<double>(rounded + threads * activations.shared);
  constexpr double page = detail::shares_blocks ? large_page_bytes : 1;
  return heap + std::ceil(shared / page) * page;
}

}  // namespace icrl::bench
