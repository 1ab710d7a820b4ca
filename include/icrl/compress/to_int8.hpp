// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <icrl/compress/int8_transformer.hpp>
#include <icrl/compress/quantize_model.hpp>
#include <icrl/model/causal_transformer.hpp>

namespace icrl {

/// Quantized weights of linear maps by name: "blocks.0.attention.qkv", "blocks.0.attention.output", "blocks.0.mlp.up",
/// "blocks.0.mlp.down", "head".
using QuantizedMaps = std::map<std::string, QuantizedMatrix>;

namespace detail {

/// Gives each linear map its weights: those of `maps`, or else int8 to the nearest.
class MapQuantizer {
public:
  explicit MapQuantizer(const QuantizedMaps& maps) : maps_{maps} {}

  [[nodiscard]] Int8Linear quantize(const std::string& name, const Linear<float>& from) {
    const auto found = maps_.find(name);
    if (found == maps_.end()) return {nearest_int8(from.weight, name), from.bias, name};
    ++used_;
    const QuantizedMatrix& matrix = found->second;
    if (matrix.in != from.input_size() || matrix.out != from.output_size()) {
      fail("{}: quantized weights are {}x{}, the model's {}x{}", name, matrix.in, matrix.out, from.input_size(),
           from.output_size());
    }
    return {matrix, from.bias, name};
  }
  /// Throws Error if a name is not that of a map.
  void check_all_used() const {
    if (used_ == maps_.size()) return;
    std::string names;
    for (const auto& [name, matrix] : maps_) names += " " + name;
    fail("to_int8: {} of {} quantized maps are the model's (names such as \"blocks.0.mlp.up\"; given:{})", used_,
         maps_.size(), names);
  }

private:
  const QuantizedMaps& maps_;
  std::size_t used_ = 0;
};

/// Writes the blocks' bits and group sizes into the configuration. Throws Error if it cannot express them.
inline void describe_maps(const std::vector<Int8Block>& blocks, const Int8Linear& head, Int8TransformerConfig& config) {
  std::optional<int> group;  // of the maps so far
  const auto take_group = [&](const Int8Linear& map, const std::string& name) {
    if (map.bits == 8) return;
    if (group && *group != map.group)
      fail("to_int8: {} has groups of {} inputs, but another linear layer has groups of {} (use one group size)", name,
           map.group, *group);
    config.group = map.group;
    group = map.group;
  };
  config.head_bits = head.bits;
  take_group(head, "head");
  bool is_uniform = true;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const Int8Block& block = blocks[i];
    for (const Int8Linear* map : {&block.qkv, &block.output, &block.up, &block.down}) {
      if (map->bits != block.qkv.bits)
        fail("to_int8: blocks.{} has maps of {} and of {} bits, all maps of a block must have the same", i,
             block.qkv.bits, map->bits);
      take_group(*map, fmt::format("blocks.{}", i));
    }
    config.layer_bits.push_back(block.qkv.bits);
    is_uniform = is_uniform && block.qkv.bits == blocks.front().qkv.bits;
  }
  config.weight_bits = blocks.front().qkv.bits;
  if (is_uniform) config.layer_bits.clear();
}

}  // namespace detail

/// The model in integers. Maps that are not in `maps` get int8 weights, rounded to nearest. Throws Error for weights
/// that are not finite, and for maps that are not the model's or whose widths differ within a layer.
[[nodiscard]] inline Int8Transformer to_int8(const CausalTransformer<float>& model, const QuantizedMaps& maps = {}) {
  detail::MapQuantizer quantizer{maps};
  std::vector<Int8Block> blocks;
  for (std::size_t i = 0; i < model.blocks.size(); ++i) {
    const Block<float>& from = model.blocks[i];
    const std::string name = fmt::format("blocks.{}", i);
    Int8Block& to = blocks.emplace_back(BlockShape{.width = from.attention.width(),
                                                   .heads = from.attention.head_count,
                                                   .head_size = from.attention.head_size(),
                                                   .hidden = from.feed_forward.hidden_size()},
                                        8, 0);
    to.attention_norm = {from.attention_norm, name + ".attention_norm"};
    to.qkv = quantizer.quantize(name + ".attention.qkv", from.attention.qkv);
    to.output = quantizer.quantize(name + ".attention.output", from.attention.output);
    to.feed_forward_norm = {from.feed_forward_norm, name + ".mlp_norm"};
    to.up = quantizer.quantize(name + ".mlp.up", from.feed_forward.up);
    to.down = quantizer.quantize(name + ".mlp.down", from.feed_forward.down);
  }
  Int8Linear head = quantizer.quantize("head", model.head);
  quantizer.check_all_used();
  Int8TransformerConfig config{model.config};
  detail::describe_maps(blocks, head, config);
  Int8Transformer result{config, model.layout};
  result.embedding = {model.embedding, model.layout};
  result.blocks = std::move(blocks);
  result.final_norm = {model.final_norm, "final_norm"};
  result.head = std::move(head);
  return result;
}

/// The integer model with the weights of a quantizer.
[[nodiscard]] inline Int8Transformer to_int8(const QuantizedModel& quantized) {
  QuantizedMaps maps;
  for (const QuantizedMap& map : quantized.maps) maps.emplace(map.name, map.weight);
  return to_int8(quantized.dequantized, maps);
}

}  // namespace icrl
