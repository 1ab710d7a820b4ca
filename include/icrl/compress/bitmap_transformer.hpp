// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <icrl/compress/linear_maps.hpp>
#include <icrl/core/assert.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/model/causal_transformer.hpp>
#include <icrl/model/tensors.hpp>

namespace icrl {

/// The shape of a `BitmapTransformer`: that of the transformer it was made of, and how many weights it keeps.
struct BitmapTransformerConfig : TransformerConfig {
  int kept_weights = 0;  ///< of the blocks' maps, those whose values are stored

  static constexpr auto fields() {
    using C = BitmapTransformerConfig;
    return std::tuple_cat(TransformerConfig::fields(),
                          std::tuple{IntField<C>{"kept_weights", &C::kept_weights, 0, std::numeric_limits<int>::max(),
                                                 "{} kept weights", "weights of the blocks that are not zero"}});
  }

  friend bool operator==(const BitmapTransformerConfig&, const BitmapTransformerConfig&) = default;
};

namespace detail {

/// Weights of a block's maps.
[[nodiscard]] inline std::int64_t map_weights(const BlockShape& shape) {
  return std::int64_t{4} * shape.width * shape.heads * shape.head_size + std::int64_t{2} * shape.width * shape.hidden;
}
/// Weights of the maps of all blocks.
[[nodiscard]] inline std::int64_t map_weights(const TransformerConfig& shape) {
  std::int64_t count = 0;
  for (int i = 0; i < shape.layer_count; ++i) count += map_weights(block_shape(shape, i));
  return count;
}

}  // namespace detail

/// Throws Error naming the first invalid value.
inline void validate(const BitmapTransformerConfig& config) {
  validate(static_cast<const TransformerConfig&>(config));
  validate_fields(config, "bitmap transformer");
  if (const std::int64_t weights = detail::map_weights(config); config.kept_weights > weights)
    fail("bitmap transformer: kept_weights is {}, but the blocks' maps have {}", config.kept_weights, weights);
}

/// What a file of a `BitmapTransformer` holds of one block, beside its maps' weights.
struct BitmapBlock {
  LayerNorm<float> attention_norm;         ///< of the attention's input
  LayerNorm<float> feed_forward_norm;      ///< of the feed-forward layer's input
  RowVector<float> qkv, output, up, down;  ///< biases of the maps

  /// Norms one, biases zero.
  explicit BitmapBlock(const BlockShape& shape)
      : attention_norm{shape.width},
        feed_forward_norm{shape.width},
        qkv{RowVector<float>::Zero(3 * shape.heads * shape.head_size)},
        output{RowVector<float>::Zero(shape.width)},
        up{RowVector<float>::Zero(shape.hidden)},
        down{RowVector<float>::Zero(shape.width)} {}
  /// Of a trained block.
  explicit BitmapBlock(const Block<float>& from)
      : attention_norm{from.attention_norm},
        feed_forward_norm{from.feed_forward_norm},
        qkv{from.attention.qkv.bias},
        output{from.attention.output.bias},
        up{from.feed_forward.up.bias},
        down{from.feed_forward.down.bias} {}

  /// Numbers in the tensors of such a block.
  [[nodiscard]] static std::int64_t weight_count(const BlockShape& shape) {
    return 2 * LayerNorm<float>::weight_count(shape.width) + std::int64_t{3} * shape.heads * shape.head_size +
           2 * shape.width + shape.hidden;
  }

  static constexpr auto tensors() {
    using B = BitmapBlock;
    return std::tuple{Field{"attention_norm", &B::attention_norm},
                      Field{"attention.qkv.bias", &B::qkv},
                      Field{"attention.output.bias", &B::output},
                      Field{"mlp_norm", &B::feed_forward_norm},
                      Field{"mlp.up.bias", &B::up},
                      Field{"mlp.down.bias", &B::down}};
  }
};

/// A pruned `CausalTransformer` as a small file holds it: one bit for every weight of the blocks' maps, and the values
/// of those that are not zero. It neither acts nor trains; `dense()` gives back the model, every weight with its bits.
/// With a share s of the weights kept, a map takes s + 1/32 of its float32 bytes; compressed sparse rows with column
/// numbers of 16 bits take 3/2 s, and so more unless fewer than a sixteenth are kept. For zeros that also save time,
/// see `sparse_model`.
struct BitmapTransformer {
  /// Type of the values.
  using Scalar = float;
  static constexpr std::string_view kind = "bitmap_transformer";  ///< what files and errors call the model

  BitmapTransformerConfig config;   ///< the shape, and how many weights are kept
  StepLayout layout;                ///< what a row of features holds
  ActionDistribution actions;       ///< reads the dense model's outputs
  StepEmbedding<float> embedding;   ///< as in the dense model
  std::vector<BitmapBlock> blocks;  ///< norms and biases of every block
  /// One per weight of the blocks' maps, from the lowest bit of each byte up: of every block `attention.qkv`,
  /// `attention.output`, `mlp.up` and `mlp.down`, (in, out) row by row. Bits after the last weight are 0.
  std::vector<std::uint8_t> bits;
  std::vector<float> values;    ///< of the weights whose bit is 1, in the same order
  LayerNorm<float> final_norm;  ///< after the last block
  Linear<float> head;           ///< (C, parameters of the action distribution), not pruned

  /// No weight is kept, all norms are one. A model whose `kept_weights` is not 0 has to be filled from a file. Throws
  /// Error for an invalid configuration or layout.
  BitmapTransformer(const BitmapTransformerConfig& shape, const StepLayout& steps)
      : config{checked(shape)},
        layout{checked(steps)},
        actions{steps.action_space},
        embedding{detail::embedding_config(shape), steps},
        bits((static_cast<std::size_t>(detail::map_weights(shape)) + 7) / 8),
        values(static_cast<std::size_t>(shape.kept_weights)),
        final_norm{shape.width},
        head{shape.width, actions.parameter_count()} {
    for (int i = 0; i < shape.layer_count; ++i) blocks.emplace_back(detail::block_shape(shape, i));
  }

  /// Of a pruned model; every weight that is not +0 is kept (-0 is, so that all come back bit for bit). Throws Error
  /// for more weights than an `int` counts.
  explicit BitmapTransformer(const CausalTransformer<float>& model)
      : BitmapTransformer{BitmapTransformerConfig{model.config, 0}, model.layout} {
    embedding = model.embedding;
    blocks.clear();
    for (const Block<float>& block : model.blocks) blocks.emplace_back(block);
    final_norm = model.final_norm;
    head = model.head;
    std::size_t place = 0;
    for_each_block_weight(model, [&](const float& weight) {
      if (std::bit_cast<std::uint32_t>(weight) != 0) {
        bits[place / 8] = static_cast<std::uint8_t>(bits[place / 8] | 1u << place % 8);
        values.push_back(weight);
      }
      ++place;
    });
    if (values.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()))
      fail("bitmap transformer: {} weights are kept, at most {} are possible", values.size(),
           std::numeric_limits<int>::max());
    config.kept_weights = static_cast<int>(values.size());
  }

  /// The share of the blocks' weights that is kept, 0 .. 1.
  [[nodiscard]] double density() const {
    return static_cast<double>(values.size()) / static_cast<double>(detail::map_weights(config));
  }

  /// The model that acts and trains. There must be a value for every bit.
  [[nodiscard]] CausalTransformer<float> dense() const {
    ICRL_ASSERT(kept_bits() == static_cast<std::int64_t>(values.size()), "dense: there must be a value for every bit");
    CausalTransformer<float> model{config, layout};
    model.embedding = embedding;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      const BitmapBlock& from = blocks[i];
      Block<float>& to = model.blocks[i];
      to.attention_norm = from.attention_norm;
      to.feed_forward_norm = from.feed_forward_norm;
      to.attention.qkv.bias = from.qkv;
      to.attention.output.bias = from.output;
      to.feed_forward.up.bias = from.up;
      to.feed_forward.down.bias = from.down;
    }
    model.final_norm = final_norm;
    model.head = head;
    std::size_t place = 0;
    auto value = values.begin();
    for_each_block_weight(model, [&](float& weight) {
      if ((bits[place / 8] >> place % 8 & 1u) != 0) weight = *value++;
      ++place;
    });
    return model;
  }

  /// Count of numbers in the tensors of such a model, without constructing it.
  [[nodiscard]] static std::int64_t weight_count(const BitmapTransformerConfig& shape, const StepLayout& steps) {
    std::int64_t count =
        StepEmbedding<float>::weight_count(detail::embedding_config(shape), steps) +
        LayerNorm<float>::weight_count(shape.width) +
        Linear<float>::weight_count(shape.width, ActionDistribution{steps.action_space}.parameter_count()) +
        (detail::map_weights(shape) + 7) / 8 + shape.kept_weights;
    for (int i = 0; i < shape.layer_count; ++i) count += BitmapBlock::weight_count(detail::block_shape(shape, i));
    return count;
  }

  /// Call this after tensors were read from a file. Throws Error, which begins with `what`, unless there is a value for
  /// every bit that is set, and no bit after the last weight.
  void finish_loading(const std::string& what) const {
    const std::int64_t set = kept_bits();
    if (set != config.kept_weights)
      fail("{}: {} bits are set, but there are {} kept weights", what, set, config.kept_weights);
    const auto unused = static_cast<int>(8 * static_cast<std::int64_t>(bits.size()) - detail::map_weights(config));
    if (unused > 0 && bits.back() >> (8 - unused) != 0) fail("{}: a bit after the last weight is set", what);
  }

  static constexpr auto tensors() {
    using M = BitmapTransformer;
    return std::tuple{Field{"embedding", &M::embedding}, Field{"blocks", &M::blocks},         Field{"bits", &M::bits},
                      Field{"values", &M::values},       Field{"final_norm", &M::final_norm}, Field{"head", &M::head}};
  }

private:
  [[nodiscard]] std::int64_t kept_bits() const {
    std::int64_t set = 0;
    for (const std::uint8_t byte : bits) set += std::popcount(byte);
    return set;
  }

  /// Calls visit(weight) for the weights of the blocks' maps, in the order of `bits`.
  template <typename M, typename Visit>
  static void for_each_block_weight(M& model, const Visit& visit) {
    for_each_linear_map(model, [&](std::string_view, auto& map) {
      if (&map == &model.head) return;
      for (Index i = 0; i < map.weight.size(); ++i) visit(map.weight.data()[i]);
    });
  }

  template <typename T>
  static const T& checked(const T& value) {
    validate(value);
    return value;
  }
};

}  // namespace icrl
