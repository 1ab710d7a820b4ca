// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <icrl/compress/to_int8.hpp>
#include <icrl/core/rng.hpp>

namespace icrl::test {

/// Random codes and scales; groups of `group` inputs below 8 bits.
inline QuantizedMatrix random_quantized(Index in, Index out, int bits, int group, Rng& rng) {
  const CodeRange range = code_range(bits);
  QuantizedMatrix matrix{.in = in,
                         .out = out,
                         .bits = bits,
                         .group = bits == 8 ? 0 : group,
                         .codes = {},
                         .group_scales = {},
                         .scales = {}};
  for (Index i = 0; i < in * out; ++i)
    matrix.codes.push_back(static_cast<std::int8_t>(range.code_at(rng.below(range.index_of(range.max) + 1))));
  for (Index i = 0; matrix.group > 0 && i < matrix.group_count() * out; ++i)
    matrix.group_scales.push_back(static_cast<std::uint8_t>(1 + rng.below(range.max_group_scale)));
  for (Index o = 0; o < out; ++o) matrix.scales.push_back(storable_scale(0.01f * static_cast<float>(rng.uniform())));
  return matrix;
}

/// Random maps in the place of all of a model's blocks.
inline QuantizedMaps random_maps(const CausalTransformer<float>& model, int bits, int group, Rng& rng) {
  QuantizedMaps maps;
  const auto add = [&](const std::string& name, const Linear<float>& map) {
    maps.emplace(name, random_quantized(map.input_size(), map.output_size(), bits, group, rng));
  };
  for (std::size_t i = 0; i < model.blocks.size(); ++i) {
    const std::string name = "blocks." + std::to_string(i);
    add(name + ".attention.qkv", model.blocks[i].attention.qkv);
    add(name + ".attention.output", model.blocks[i].attention.output);
    add(name + ".mlp.up", model.blocks[i].feed_forward.up);
    add(name + ".mlp.down", model.blocks[i].feed_forward.down);
  }
  return maps;
}

}  // namespace icrl::test
