// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

#include <icrl/compress/fake_quant_linear.hpp>
#include <icrl/compress/quantize_model.hpp>

namespace icrl {

/// A transformer whose linear maps are trained for quantization.
template <std::floating_point S, FakeQuant blocks, FakeQuant head = blocks>
struct FakeQuantParts : DenseParts<S> {
  using Linear = FakeQuantLinear<S, blocks>;
  using FeedForward = icrl::FeedForward<S, Linear>;
  using Head = FakeQuantLinear<S, head>;
};
/// A transformer to train for quantization: `blocks` says how the maps of blocks round, `head` how the head does.
template <FakeQuant blocks, FakeQuant head = blocks>
using FakeQuantTransformer = CausalTransformer<float, FakeQuantParts<float, blocks, head>>;

namespace detail {

/// Embedding and norms, of two transformers of one configuration.
template <typename From, typename To>
void copy_all_but_maps(const From& from, To& to) {
  to.embedding = from.embedding;
  to.final_norm = from.final_norm;
  for (std::size_t i = 0; i < from.blocks.size(); ++i) {
    to.blocks[i].attention_norm = from.blocks[i].attention_norm;
    to.blocks[i].feed_forward_norm = from.blocks[i].feed_forward_norm;
  }
}

}  // namespace detail

/// Converts a trained model for quantization-aware training, which then starts from its weights. `M` is a
/// FakeQuantTransformer. Learned ranges of inputs begin at the largest that the calibration saw. Throws Error where it
/// lacks a map.
template <typename M>
[[nodiscard]] M to_fake_quant(const CausalTransformer<float>& model, const Calibration* calibration = nullptr) {
  M result{model.config, model.layout};
  detail::copy_all_but_maps(model, result);
  for_each_linear_map(model, result, [&](std::string_view name, const Linear<float>& from, auto& to) {
    if (calibration == nullptr) return to.adopt(from);
    const InputStatistics* const inputs = calibration->find(name);
    if (inputs == nullptr)
      fail("to_fake_quant: the calibration has no inputs of the linear layer {} (include it when calibrating)", name);
    to.adopt(from, inputs->magnitudes.largest());
  });
  return result;
}

/// The rounded weights of a model that was trained for quantization, and the float model with these weights. Its
/// outputs are bit-identical to those of the trained one if that does not round inputs. `error` is against the weights
/// before rounding.
template <FakeQuant blocks, FakeQuant head>
[[nodiscard]] QuantizedModel from_fake_quant(const FakeQuantTransformer<blocks, head>& model) {
  QuantizedModel result{.maps = {}, .dequantized = {model.config, model.layout}};
  detail::copy_all_but_maps(model, result.dequantized);
  for_each_linear_map(model, result.dequantized, [&](std::string_view name, const auto& from, Linear<float>& to) {
    QuantizedMap map{.name = std::string{name}, .weight = from.quantized(), .error = {}};
    map.error = rounding_error(from.weight, map.weight);
    to.weight = dequantized(map.weight);
    to.bias = from.bias;
    result.maps.push_back(std::move(map));
  });
  return result;
}

}  // namespace icrl
