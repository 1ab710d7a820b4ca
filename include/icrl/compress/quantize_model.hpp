// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <icrl/compress/quantize_weights.hpp>

namespace icrl {

/// How the linear maps whose names match are quantized; without `how` they stay as they are.
struct QuantizationRule {
  std::string pattern;                      ///< such as "blocks.*.mlp.up" or "head"; * stands for any run of characters
  std::optional<WeightQuantization> how{};  ///< none: not at all
};

/// A linear map's rounded weights.
struct QuantizedMap {
  std::string name;        ///< such as "blocks.0.mlp.up"
  QuantizedMatrix weight;  ///< codes and scales
  RoundingError error;     ///< of this map alone
};

/// A transformer's rounded weights, and the model that they make: an ordinary float model with the dequantized weights.
/// Maps that no rule quantizes are only in the model.
struct QuantizedModel {
  std::vector<QuantizedMap> maps;        ///< in the order of the model
  CausalTransformer<float> dequantized;  ///< the model that acts with the rounded weights

  /// Null where the map is not quantized.
  [[nodiscard]] const QuantizedMatrix* find(std::string_view name) const {
    for (const QuantizedMap& map : maps)
      if (map.name == name) return &map.weight;
    return nullptr;
  }
};

namespace detail {

/// The first rule that matches decides.
[[nodiscard]] inline const WeightQuantization* rule_for(std::string_view name,
                                                        std::span<const QuantizationRule> rules) {
  for (const QuantizationRule& rule : rules)
    if (matches_pattern(name, rule.pattern)) return rule.how ? &*rule.how : nullptr;
  return nullptr;
}

/// Throws Error for a rule that is invalid or that matches no map.
inline void validate_rules(const CausalTransformer<float>& model, std::span<const QuantizationRule> rules) {
  for (const QuantizationRule& rule : rules) {
    if (rule.how) validate(*rule.how);
    bool is_used = false;
    for_each_linear_map(model,
                        [&](std::string_view name, const auto&) { is_used |= matches_pattern(name, rule.pattern); });
    if (!is_used) {
      fail(
          "quantize: no linear layer matches \"{}\" (layers are named blocks.0.attention.qkv, .attention.output, .mlp.up, "
          ".mlp.down for {} blocks, and head)",
          rule.pattern, model.blocks.size());
    }
  }
}

/// Quantizes a map of `result.dequantized` in place.
inline void quantize_map(std::string_view name, Linear<float>& map, const WeightQuantization& how,
                         const InputStatistics* inputs, QuantizedModel& result) {
  QuantizedMap quantized{.name = std::string{name}, .weight = quantize(map, how, inputs), .error = {}};
  quantized.error = rounding_error(map.weight, quantized.weight, inputs);
  map.weight = dequantized(quantized.weight);
  result.maps.push_back(std::move(quantized));
}

}  // namespace detail

/// Rounds the weights of a model's linear maps. The first rule whose pattern matches a map decides; a map that none
/// matches stays as it is. `calibration` is of this model, and may be null where no rule asks for GPTQ. Throws Error
/// for a rule that matches no map, and as `quantize` does.
[[nodiscard]] inline QuantizedModel quantize_weights(const CausalTransformer<float>& model,
                                                     std::span<const QuantizationRule> rules,
                                                     const Calibration* calibration = nullptr) {
  detail::validate_rules(model, rules);
  QuantizedModel result{.maps = {}, .dequantized = model};
  for_each_linear_map(result.dequantized, [&](std::string_view name, Linear<float>& map) {
    if (const WeightQuantization* const how = detail::rule_for(name, rules))
      detail::quantize_map(name, map, *how, calibration == nullptr ? nullptr : calibration->find(name), result);
  });
  return result;
}

/// The same, map by map: each map is calibrated on the inputs that it gets over `windows` after the maps before it have
/// been rounded. One pass over all windows per map.
[[nodiscard]] inline QuantizedModel quantize_weights_in_turn(const CausalTransformer<float>& model,
                                                             std::span<const QuantizationRule> rules,
                                                             const ContextBatch& windows) {
  detail::validate_rules(model, rules);
  QuantizedModel result{.maps = {}, .dequantized = model};
  for_each_linear_map(result.dequantized, [&](std::string_view name, Linear<float>& map) {
    const WeightQuantization* const how = detail::rule_for(name, rules);
    if (how == nullptr) return;
    Calibration calibration{result.dequantized, name};
    calibration.add(result.dequantized, windows);
    detail::quantize_map(name, map, *how, calibration.find(name), result);
  });
  return result;
}

}  // namespace icrl
