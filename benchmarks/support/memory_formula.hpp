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

/// An agent's: two contexts, each with the keys and the values (C, padded T) of every layer and a gap to the next, and
/// the rows of the last episode.
inline double agent_bytes(const CausalTransformer<float>& model) {
  constexpr Index contexts = 2;
  const Index C = model.config.width, L = model.config.layer_count, T = model.config.context;
  const Index context = L * 2 * C * padded<float>(T) + static_cast<Index>(LargePageArray<float>::gap);
  const Index numbers = contexts * context + T * model.layout.feature_count();
  return static_cast<double>(numbers) * sizeof(float);
}

/// Bytes of arrays of numbers of 4 bytes.
class Bytes {
public:
  void add(Index count, Index times = 1) { total_ += 4.0 * static_cast<double>(count * times); }
  [[nodiscard]] double total() const { return total_; }

private:
  double total_ = 0;
};

/// What one thread keeps of a window between forward and backward (the Cache structures) and within a call (Scratch).
inline void add_activations(const TransformerConfig& config, Index output_size, Products products, Bytes& bytes) {
  const Index C = config.width, L = config.layer_count, H = config.head_count, T = config.context;
  const Index hidden = config.hidden_size(), rows = (T + 15) / 16 * 16;
  bytes.add(2 * T * (C + 1), L);                             // norms
  bytes.add(4 * T * C + T * (C + 1) + 2 * T * output_size);  // around the layers
  if (products == Products::full) {
    bytes.add(4 * T * C + 2 * T * hidden, L);
    bytes.add(6 * T * C + T * hidden);
    bytes.add(H * rows * (rows + 16) / 2, L);  // probabilities, rows by 16, each block up to its diagonal
    bytes.add(C / H * rows);
    bytes.add(16 * rows);
    return;
  }
  // Two numbers in bfloat16 take the place of one; what lies between two linear maps is kept for a block of 48 rows
  // only.
  const Index columns = (T + 15) / 16, half = (T + 1) / 2;
  const Index triangle = 16 * (columns * half - 4 * columns * (columns - 1));  // keys by 16, pairs of queries
  bytes.add(half * C, 3 * L);                                                  // inputs of attention and MLP, values
  bytes.add(half * C, L);                                                      // what attention has mixed
  bytes.add(half * 2 * C, L);                                                  // queries and keys
  bytes.add(half * hidden, 2 * L);                                             // MLP
  bytes.add(H * triangle, L);
  bytes.add(T * H, L + 1);
  bytes.add(half * C, 6);    // one pass's: values, derivatives of what goes in and comes out, of both orders
  bytes.add(half * 2 * C);   // queries and keys
  bytes.add(half * 3 * C);   // derivatives of queries, keys and values
  bytes.add(half * hidden);  // and of the MLP
  bytes.add(3 * T * C + 48 * (6 * C + hidden));
  bytes.add(24 * C, 2);
  bytes.add(72 * C);
  bytes.add(24 * hidden);
  bytes.add(C / H / 2 * rows);
  bytes.add(16 * rows);
  bytes.add(8 * rows);
  bytes.add(triangle);
  bytes.add(16 * C / H);
}

/// The matrices of the blocks in bfloat16, as they are and transposed, their columns in panels of 64 bytes times four;
/// and those of one block on the way there.
inline void add_rounded(const TransformerConfig& config, Bytes& bytes) {
  const Index C = config.width, L = config.layer_count, hidden = config.hidden_size();
  const auto both = [&](Index in, Index out) {
    const auto panels = [](Index columns) { return (columns + 63) / 64 * 64; };
    bytes.add(in / 2 * panels(out), L);
    bytes.add(out / 2 * panels(in), L);
    bytes.add(in * out / 2, 2);
  };
  both(C, 3 * C);
  both(C, C);
  both(C, hidden);
  both(hidden, C);
}

/// Training's: weights, their two moments and a gradient a slot; a window's activations a thread; the batch. `config`
/// is a trainer's, which says what products it uses.
inline double training_bytes(const CausalTransformer<float>& model, const DistilConfig& config) {
  Bytes bytes;
  bytes.add((3 + config.gradient_slots) * parameter_count(model));
  const Index row_size = model.layout.feature_count() + model.layout.action_size() + 1;  // features, label, weight
  bytes.add(Index{config.batch} * model.config.context * row_size);
  for (int thread = 0; thread < config.used_threads(); ++thread)
    add_activations(model.config, model.actions.parameter_count(), config.products, bytes);
  if (config.products == Products::bfloat16) add_rounded(model.config, bytes);
  return bytes.total();
}

}  // namespace icrl::bench
