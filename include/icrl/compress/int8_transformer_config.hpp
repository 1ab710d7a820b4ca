// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <tuple>
#include <vector>

#include <icrl/compress/quantized_matrix.hpp>
#include <icrl/model/transformer_config.hpp>

namespace icrl {

namespace detail {

/// The same field of a configuration that extends another one.
template <typename To, typename From>
constexpr auto rebind(const IntField<From>& f) {
  return IntField<To>{f.key, f.member, f.min, f.max, f.text, f.help, f.used};
}
template <typename To, typename From>
constexpr auto rebind(const RealField<From>& f) {
  return RealField<To>{f.key, f.member, f.min, f.max, f.text, f.help};
}
template <typename To, typename From, typename Enum>
constexpr auto rebind(const EnumField<From, Enum>& f) {
  return EnumField<To, Enum>{f.key, f.member, f.names, f.text, f.help};
}
template <typename To, typename From>
constexpr auto rebind(const IntListField<From>& f) {
  return IntListField<To>{f.key, f.member, f.min, f.max, f.text, f.help};
}

}  // namespace detail

/// The shape of an `Int8Transformer`: that of the transformer it was made of, and how its maps are stored.
struct Int8TransformerConfig : TransformerConfig {
  int weight_bits = 8;            ///< 8, 4, 3 or 2, of the blocks' maps
  int head_bits = 8;              ///< of the map from the last norm to the outputs
  int group = 0;                  ///< inputs that share a scale where there are fewer than 8 bits; 0: all of an output
  std::vector<int> layer_bits{};  ///< bits of each layer; empty: weight_bits in every layer

  /// Bits of layer `layer`, from 0.
  [[nodiscard]] int bits_of(int layer) const {
    const auto i = static_cast<std::size_t>(layer);
    return i < layer_bits.size() ? layer_bits[i] : weight_bits;
  }

  static constexpr auto fields() {
    using C = Int8TransformerConfig;
    const auto own = std::tuple{
        IntField<C>{"weight_bits", &C::weight_bits, 2, 8, "weights of {} bits", "bits per weight: 8, 4, 3 or 2"},
        IntField<C>{"head_bits", &C::head_bits, 2, 8, "head of {} bits", "bits per weight of the head: 8, 4, 3 or 2"},
        IntField<C>{"group", &C::group, 0, 65536, "groups of {}", "inputs that share a scale below 8 bits, 0 = all"},
        IntListField<C>{"layer_bits", &C::layer_bits, 2, 8, "bits by layer {}", "bits per weight of each layer"}};
    const auto of_this = [](const auto&... field) { return std::tuple{detail::rebind<C>(field)...}; };
    return std::tuple_cat(std::apply(of_this, TransformerConfig::fields()), own);
  }

  friend bool operator==(const Int8TransformerConfig&, const Int8TransformerConfig&) = default;
};

/// Throws Error naming the first invalid value.
inline void validate(const Int8TransformerConfig& config) {
  validate(static_cast<const TransformerConfig&>(config));
  validate_fields(config, "int8 transformer");
  if (!config.layer_bits.empty() && config.layer_bits.size() != static_cast<std::size_t>(config.layer_count)) {
    fail("int8 transformer: layer_bits has {} entries, layer_count is {} (leave it empty if all layers are alike)",
         config.layer_bits.size(), config.layer_count);
  }
  (void)code_range(config.head_bits);
  (void)code_range(config.weight_bits);
  for (const int bits : config.layer_bits) (void)code_range(bits);
}

}  // namespace icrl
