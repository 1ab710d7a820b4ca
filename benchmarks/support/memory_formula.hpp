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

/// Bytes of arrays of numbers of 4 bytes.
class Bytes {
public:
  /// `times` arrays that have memory of their own (Matrix).
  void own(Index count, Index times = 1) { own_ += 4.0 * static_cast<double>(count * times); }
  /// `times` arrays that may share pages of 2 MB (Buffer).
  void buffer(Index count, Index times = 1) {
    const auto bytes = static_cast<std::size_t>(4 * count);
    const bool shares = detail::shares_blocks && bytes >= detail::least_shared_bytes && bytes < large_page_bytes;
    (shares ? shared_ : own_) += 4.0 * static_cast<double>(count * times);
  }
  /// Of all of them, pages being taken whole.
  [[nodiscard]] double total() const {
    constexpr double page = large_page_bytes;
    return own_ + std::ceil(shared_ / page) * page;
  }

private:
  double own_ = 0, shared_ = 0;
};

/// What one thread keeps of a window between forward and backward (the Cache structures) and within a call (Scratch).
inline void add_activations(const TransformerConfig& config, Index output_size, Products products, Bytes& bytes) {
  const Index C = config.width, L = config.layer_count, H = config.head_count, T = config.context;
  const Index hidden = config.hidden_size(), rows = (T + 15) / 16 * 16;
  bytes.own(2 * T * (C + 1), L);                             // norms
  bytes.own(4 * T * C + T * (C + 1) + 2 * T * output_size);  // around the layers
  if (products == Products::full) {
    bytes.own(4 * T * C + 2 * T * hidden, L);
    bytes.own(6 * T * C + T * hidden);
    bytes.buffer(H * rows * (rows + 16) / 2, L);  // probabilities, rows by 16, each block up to its diagonal
    bytes.buffer(C / H * rows);
    bytes.buffer(16 * rows);
    return;
  }
  // Two numbers in bfloat16 take the place of one; what lies between two linear maps is kept for a block of 48 rows
  // only.
  const Index columns = (T + 15) / 16, half = (T + 1) / 2;
  const Index triangle = 16 * (columns * half - 4 * columns * (columns - 1));  // keys by 16, pairs of queries
  bytes.buffer(half * C, 3 * L);                                               // inputs of attention and MLP, values
  bytes.buffer(half * C, L);                                                   // what attention has mixed
  bytes.buffer(half * 2 * C, L);                                               // queries and keys
  bytes.buffer(half * hidden, 2 * L);                                          // MLP
  bytes.buffer(H * triangle, L);
  bytes.buffer(T * H, L + 1);
  bytes.buffer(half * C, 6);    // one pass's: values, derivatives of what goes in and comes out, of both orders
  bytes.buffer(half * 2 * C);   // queries and keys
  bytes.buffer(half * 3 * C);   // derivatives of queries, keys and values
  bytes.buffer(half * hidden);  // and of the MLP
  bytes.own(3 * T * C + 48 * (6 * C + hidden));
  bytes.buffer(24 * C, 2);
  bytes.buffer(72 * C);
  bytes.buffer(24 * hidden);
  bytes.buffer(C / H / 2 * rows);
  bytes.buffer(16 * rows);
  bytes.buffer(8 * rows);
  bytes.buffer(triangle);
  bytes.buffer(16 * C / H);
}

/// The matrices of the blocks in bfloat16, as they are and transposed, their columns in panels of 64 bytes times four;
/// and those of one block on the way there.
inline void add_rounded(const TransformerConfig& config, Bytes& bytes) {
  const Index C = config.width, L = config.layer_count, hidden = config.hidden_size();
  const auto both = [&](Index in, Index out) {
    const auto panels = [](Index columns) { return (columns + 63) / 64 * 64; };
    bytes.buffer(in / 2 * panels(out), L);
    bytes.buffer(out / 2 * panels(in), L);
    bytes.buffer(in * out / 2, 2);
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
  bytes.own((3 + config.gradient_slots) * parameter_count(model));
  const Index row_size = model.layout.feature_count() + model.layout.action_size() + 1;  // features, label, weight
  bytes.own(Index{config.batch} * model.config.context * row_size);
  for (int thread = 0; thread < config.used_threads(); ++thread)
    add_activations(model.config, model.actions.parameter_count(), config.products, bytes);
  if (config.products == Products::bfloat16) add_rounded(model.config, bytes);
  return bytes.total();
}

}  // namespace icrl::bench
