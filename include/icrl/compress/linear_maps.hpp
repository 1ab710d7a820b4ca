// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>

#include <icrl/model/causal_transformer.hpp>

namespace icrl {

/// A transformer with dense feed-forward layers: all its large matrices are linear maps with names.
template <typename M>
concept HasLinearMaps = requires(M& model) {
  model.blocks[0].attention.qkv;
  model.blocks[0].attention.output;
  model.blocks[0].feed_forward.up;
  model.blocks[0].feed_forward.down;
  model.head;
};

/// Calls visit(name, map) for every linear map of a transformer in the order of a pass. The names are those of files:
/// "blocks.0.attention.qkv", ".attention.output", ".mlp.up", ".mlp.down" of every block, and "head".
template <HasLinearMaps M, typename Visit>
void for_each_linear_map(M& model, Visit&& visit) {
  for (std::size_t i = 0; i < model.blocks.size(); ++i) {
    const std::string block = fmt::format("blocks.{}", i);
    visit(std::string_view{block + ".attention.qkv"}, model.blocks[i].attention.qkv);
    visit(std::string_view{block + ".attention.output"}, model.blocks[i].attention.output);
    visit(std::string_view{block + ".mlp.up"}, model.blocks[i].feed_forward.up);
    visit(std::string_view{block + ".mlp.down"}, model.blocks[i].feed_forward.down);
  }
  visit(std::string_view{"head"}, model.head);
}

/// Calls visit(name, map, map of `other`) for two transformers with the same number of blocks.
template <HasLinearMaps M, HasLinearMaps Other, typename Visit>
void for_each_linear_map(M& model, Other& other, Visit&& visit) {
  ICRL_ASSERT(model.blocks.size() == other.blocks.size(),
              "for_each_linear_map: the models have different numbers of blocks");
  for (std::size_t i = 0; i < model.blocks.size(); ++i) {
    const std::string block = fmt::format("blocks.{}", i);
    auto& a = model.blocks[i];
    auto& b = other.blocks[i];
    visit(std::string_view{block + ".attention.qkv"}, a.attention.qkv, b.attention.qkv);
    visit(std::string_view{block + ".attention.output"}, a.attention.output, b.attention.output);
    visit(std::string_view{block + ".mlp.up"}, a.feed_forward.up, b.feed_forward.up);
    visit(std::string_view{block + ".mlp.down"}, a.feed_forward.down, b.feed_forward.down);
  }
  visit(std::string_view{"head"}, model.head, other.head);
}

/// Whether `name` matches `pattern`, in which * stands for any run of characters: "blocks.*.mlp.up", "*".
[[nodiscard]] inline bool matches_pattern(std::string_view name, std::string_view pattern) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return name == pattern;
  if (!name.starts_with(pattern.substr(0, star))) return false;
  const std::string_view rest = pattern.substr(star + 1);
  for (std::size_t begin = star; begin <= name.size(); ++begin)
    if (matches_pattern(name.substr(begin), rest)) return true;
  return false;
}

}  // namespace icrl
