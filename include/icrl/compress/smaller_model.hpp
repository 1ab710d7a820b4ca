// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/model/causal_transformer.hpp>

namespace icrl {

/// The parts of a transformer that are kept: indices from 0, in ascending order. `heads` and `neurons` have one list
/// per layer of the original transformer, including layers that are not kept.
struct KeptParts {
  std::vector<int> layers;                  ///< blocks, at least one
  std::vector<std::vector<int>> heads{};    ///< by layer: attention heads, at least one
  std::vector<std::vector<int>> neurons{};  ///< by layer: hidden units of the feed-forward layer, at least one

  friend bool operator==(const KeptParts&, const KeptParts&) = default;
};

namespace detail {

[[nodiscard]] inline std::vector<int> first_numbers(int count) {
  std::vector<int> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

inline void validate_kept(const std::string& what, std::span<const int> kept, int count) {
  if (kept.empty()) fail("smaller model: {} is empty, at least one of {} must be kept", what, count);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i] < 0 || kept[i] >= count)
      fail("smaller model: {} contains {}, its numbers must lie in 0 .. {}", what, kept[i], count - 1);
    if (i > 0 && kept[i] <= kept[i - 1])
      fail("smaller model: {} lists {} after {}, its numbers must be strictly ascending", what, kept[i], kept[i - 1]);
  }
}

/// The numbers of all columns (or rows) of the parts that are kept, each `size` wide, in `runs` runs of `count` parts.
[[nodiscard]] inline std::vector<Index> kept_columns(std::span<const int> kept, Index size, Index count,
                                                     Index runs = 1) {
  std::vector<Index> columns;
  for (Index run = 0; run < runs; ++run)
    for (const int part : kept)
      for (Index i = 0; i < size; ++i) columns.push_back((run * count + Index{part}) * size + i);
  return columns;
}

/// Fills `to` with the columns of `from` that it has room for.
template <std::floating_point S>
void copy_outputs(const Linear<S>& from, std::span<const Index> columns, Linear<S>& to) {
  for (std::size_t c = 0; c < columns.size(); ++c) {
    to.weight.col(static_cast<Index>(c)) = from.weight.col(columns[c]);
    to.bias(static_cast<Index>(c)) = from.bias(columns[c]);
  }
}
template <std::floating_point S>
void copy_inputs(const Linear<S>& from, std::span<const Index> rows, Linear<S>& to) {
  for (std::size_t r = 0; r < rows.size(); ++r) to.weight.row(static_cast<Index>(r)) = from.weight.row(rows[r]);
  to.bias = from.bias;
}

/// `values` where they differ from `usual` somewhere, else none.
[[nodiscard]] inline std::vector<int> unless_all(std::vector<int> values, int usual) {
  if (std::all_of(values.begin(), values.end(), [&](int value) { return value == usual; })) values.clear();
  return values;
}

}  // namespace detail

/// All parts of a transformer.
[[nodiscard]] inline KeptParts all_parts(const TransformerConfig& config) {
  KeptParts parts{.layers = detail::first_numbers(config.layer_count)};
  for (int i = 0; i < config.layer_count; ++i) {
    parts.heads.push_back(detail::first_numbers(config.heads_of(i)));
    parts.neurons.push_back(detail::first_numbers(config.hidden_of(i)));
  }
  return parts;
}

/// Throws Error naming the first index that the transformer does not have, or if no part of a kind would be left.
inline void validate(const KeptParts& kept, const TransformerConfig& config) {
  detail::validate_kept("the list of layers", kept.layers, config.layer_count);
  const auto layer_count = static_cast<std::size_t>(config.layer_count);
  if (kept.heads.size() != layer_count || kept.neurons.size() != layer_count) {
    fail("smaller model: heads has {} lists and neurons {}, both need one per layer of the model, {}",
         kept.heads.size(), kept.neurons.size(), layer_count);
  }
  for (const int layer : kept.layers) {
    const auto i = static_cast<std::size_t>(layer);
    detail::validate_kept(fmt::format("the list of layer {}'s heads", layer), kept.heads[i], config.heads_of(layer));
    detail::validate_kept(fmt::format("the list of layer {}'s neurons", layer), kept.neurons[i],
                          config.hidden_of(layer));
  }
}

/// The shape of a transformer of these parts. Its lists by layer stay empty where layers are alike, so that a model
/// with whole layers removed is saved in the same format as any other.
[[nodiscard]] inline TransformerConfig smaller_config(const TransformerConfig& config, const KeptParts& kept) {
  validate(kept, config);
  std::vector<int> heads, hidden;
  for (const int layer : kept.layers) {
    heads.push_back(static_cast<int>(kept.heads[static_cast<std::size_t>(layer)].size()));
    hidden.push_back(static_cast<int>(kept.neurons[static_cast<std::size_t>(layer)].size()));
  }
  TransformerConfig smaller = config;
  smaller.layer_count = static_cast<int>(kept.layers.size());
  smaller.layer_heads = detail::unless_all(std::move(heads), config.head_count);
  if (hidden.front() != config.hidden_size() && detail::unless_all(hidden, hidden.front()).empty())
    smaller.hidden = hidden.front();
  smaller.layer_hidden = detail::unless_all(std::move(hidden), smaller.hidden_size());
  return smaller;
}

/// A transformer of the parts that are kept, with their weights: an ordinary model, which trains, acts and is saved as
/// any other. What is left out is physically gone. Its outputs are those of `model` with the weights that the other
/// parts write to the residual stream set to zero (of a layer, their biases too), up to rounding. Throws Error for
/// numbers that the model does not have.
template <std::floating_point S>
[[nodiscard]] CausalTransformer<S> smaller_model(const CausalTransformer<S>& model, const KeptParts& kept) {
  CausalTransformer<S> smaller{smaller_config(model.config, kept), model.layout};
  smaller.embedding = model.embedding;
  smaller.final_norm = model.final_norm;
  smaller.head = model.head;
  for (std::size_t i = 0; i < kept.layers.size(); ++i) {
    const auto layer = static_cast<std::size_t>(kept.layers[i]);
    const Block<S>& from = model.blocks[layer];
    Block<S>& to = smaller.blocks[i];
    to.attention_norm = from.attention_norm;
    to.feed_forward_norm = from.feed_forward_norm;
    const Index size = from.attention.head_size(), heads = from.attention.head_count;
    detail::copy_outputs(from.attention.qkv, detail::kept_columns(kept.heads[layer], size, heads, 3), to.attention.qkv);
    detail::copy_inputs(from.attention.output, detail::kept_columns(kept.heads[layer], size, heads),
                        to.attention.output);
    const auto neurons = detail::kept_columns(kept.neurons[layer], 1, from.feed_forward.hidden_size());
    detail::copy_outputs(from.feed_forward.up, neurons, to.feed_forward.up);
    detail::copy_inputs(from.feed_forward.down, neurons, to.feed_forward.down);
  }
  return smaller;
}

}  // namespace icrl
