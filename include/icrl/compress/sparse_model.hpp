// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <icrl/compress/block_sparse_linear.hpp>
#include <icrl/compress/two_four_linear.hpp>
#include <icrl/core/error.hpp>
#include <icrl/model/causal_transformer.hpp>

namespace icrl {

/// The parts of a transformer that uses `Map` for the linear maps of its blocks. Encoder and head are dense.
template <LinearMap Map>
struct SparseParts : DenseParts<float> {
  using Linear = Map;
  using FeedForward = icrl::FeedForward<float, Map>;
};
/// A transformer of such parts, which only acts.
template <LinearMap Map>
using SparseTransformer = CausalTransformer<float, SparseParts<Map>>;

/// A transformer that acts as `model` does, with maps that skip its zeros: BlockSparseLinear, or TwoFourLinear. Pruned
/// models are saved in ordinary files; convert one after loading it. Throws Error naming the map that cannot be
/// converted.
template <LinearMap Map>
[[nodiscard]] SparseTransformer<Map> sparse_model(const CausalTransformer<float>& model) {
  SparseTransformer<Map> sparse{model.config, model.layout};
  sparse.embedding = model.embedding;
  sparse.final_norm = model.final_norm;
  sparse.head = model.head;
  for (std::size_t i = 0; i < model.blocks.size(); ++i) {
    const Block<float>& from = model.blocks[i];
    auto& to = sparse.blocks[i];
    const auto convert = [&](const char* name, const Linear<float>& dense) {
      try {
        return Map{dense};
      } catch (const Error& error) {
        fail("blocks.{}.{}: {}", i, name, error.what());
      }
    };
    to.attention_norm = from.attention_norm;
    to.feed_forward_norm = from.feed_forward_norm;
    to.attention.qkv = convert("attention.qkv", from.attention.qkv);
    to.attention.output = convert("attention.output", from.attention.output);
    to.feed_forward.up = convert("mlp.up", from.feed_forward.up);
    to.feed_forward.down = convert("mlp.down", from.feed_forward.down);
  }
  return sparse;
}

}  // namespace icrl
