// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <icrl/compress/quantize_model.hpp>

// Before weights are rounded, each input of a map may be divided by a factor and its row of weights multiplied by it,
// which changes no output. What divides the input is folded into what makes it: gain and bias of a norm, or the weights
// of attention's values. The input of mlp.down comes from a GELU, which no factor passes through.
namespace icrl {

/// Divides a norm's outputs by `factors` (C) and multiplies the rows of the map that reads them by `factors`.
template <std::floating_point S>
void scale_channels(const RowVector<S>& factors, LayerNorm<S>& norm, Linear<S>& map) {
  ICRL_ASSERT(factors.size() == norm.gain.size() && factors.size() == map.input_size(),
              "scale_channels: norm, map and factors must have one size");
  for (Index i = 0; i < factors.size(); ++i) {
    norm.gain(i) /= factors(i);
    norm.bias(i) /= factors(i);
    map.weight.row(i) *= factors(i);
  }
}

/// The same for the channels between attention's values and its output map: factors (H D).
template <std::floating_point S>
void scale_channels(const RowVector<S>& factors, CausalAttention<S>& attention) {
  const Index inner = attention.inner_width();
  ICRL_ASSERT(factors.size() == inner, "scale_channels: attention needs inner_width() factors");
  for (Index i = 0; i < inner; ++i) {
    const Index value = 2 * inner + i;
    attention.qkv.weight.col(value) /= factors(i);
    attention.qkv.bias(value) /= factors(i);
    attention.output.weight.row(i) *= factors(i);
  }
}

/// Statistics of inputs that are divided by factors; without the histogram of magnitudes, which is not kept per input.
[[nodiscard]] inline InputStatistics divided(const InputStatistics& inputs, const RowVector<float>& factors) {
  InputStatistics result{inputs.input_size()};
  result.rows = inputs.rows;
  for (Index i = 0; i < factors.size(); ++i) {
    const auto factor = static_cast<double>(factors(i));
    result.largest(i) = inputs.largest(i) / factors(i);
    result.sums(i) = inputs.sums(i) / factor;
    for (Index j = 0; j < factors.size(); ++j)
      result.second_moments(i, j) = inputs.second_moments(i, j) / (factor * static_cast<double>(factors(j)));
  }
  return result;
}

/// max|x_i|^alpha / max|W_i|^(1 - alpha) (SmoothQuant, Xiao et al., 2023, equation 4), which moves the spread of inputs
/// into weights: for inputs of 8 bits. 1 where an input or its weights are 0.
[[nodiscard]] inline RowVector<float> smoothing_factors(const InputStatistics& inputs, const Matrix<float>& weight,
                                                        double alpha) {
  RowVector<float> factors(weight.rows());
  for (Index i = 0; i < factors.size(); ++i) {
    const auto x = static_cast<double>(inputs.largest(i)), w = static_cast<double>(weight.row(i).cwiseAbs().maxCoeff());
    factors(i) = x > 0 && w > 0 ? static_cast<float>(std::pow(x, alpha) / std::pow(w, 1 - alpha)) : 1;
  }
  return factors;
}

/// Powers of the inputs' root mean squares (AWQ, Lin et al., 2024, equation 5): weights of large inputs are enlarged,
/// so that their rounding errors shrink. The power among 0, 0.05 .. 1 whose rounded weights give the outputs the least
/// error. Power 0 means no scaling.
[[nodiscard]] inline RowVector<float> protecting_factors(const InputStatistics& inputs, const Linear<float>& map,
                                                         const WeightQuantization& how) {
  constexpr int most = 20;
  double least = std::numeric_limits<double>::infinity(), mean = 0;
  for (Index i = 0; i < map.input_size(); ++i) mean += std::log(inputs.mean_square(i) + 1e-30);
  mean /= static_cast<double>(map.input_size());
  RowVector<float> factors(map.input_size()), best;
  for (int power = 0; power <= most; ++power) {
    for (Index i = 0; i < factors.size(); ++i) {
      const double spread = std::log(inputs.mean_square(i) + 1e-30) - mean;
      factors(i) = static_cast<float>(std::exp(std::clamp(0.5 * power / most * spread, -7.0, 7.0)));
    }
    Linear<float> scaled = map;
    for (Index i = 0; i < factors.size(); ++i) scaled.weight.row(i) *= factors(i);
    const InputStatistics of_scaled = divided(inputs, factors);
    const double error = rounding_error(scaled.weight, quantize(scaled, how, &of_scaled), &of_scaled).outputs;
    if (error >= least) continue;
    least = error;
    best = factors;
  }
  return best;
}

namespace detail {

/// Scales all channels of a model for which find(name, map), the factors of the map that reads them, is not empty.
template <typename Find>
void scale_all_channels(CausalTransformer<float>& model, Find&& find) {
  for (std::size_t i = 0; i < model.blocks.size(); ++i) {
    auto& block = model.blocks[i];
    const std::string name = fmt::format("blocks.{}", i);
    const RowVector<float> of_values = find(name + ".attention.output", block.attention.output);
    if (of_values.size() > 0) scale_channels(of_values, block.attention);
    const RowVector<float> of_attention = find(name + ".attention.qkv", block.attention.qkv);
    if (of_attention.size() > 0) scale_channels(of_attention, block.attention_norm, block.attention.qkv);
    const RowVector<float> of_up = find(name + ".mlp.up", block.feed_forward.up);
    if (of_up.size() > 0) scale_channels(of_up, block.feed_forward_norm, block.feed_forward.up);
  }
  const RowVector<float> of_head = find("head", model.head);
  if (of_head.size() > 0) scale_channels(of_head, model.final_norm, model.head);
}

[[nodiscard]] inline const InputStatistics& inputs_of(const Calibration& calibration, const std::string& name) {
  const InputStatistics* const inputs = calibration.find(name);
  if (inputs == nullptr || inputs->rows == 0)
    fail("channel scaling: the calibration has no inputs of the linear layer {} (include it when calibrating)", name);
  return *inputs;
}

}  // namespace detail

/// The same model with smoothed channels before qkv, attention's output, mlp.up and head. Calibrate it again before its
/// weights are rounded. `alpha` in 0 .. 1. Throws Error where the calibration lacks a map.
[[nodiscard]] inline CausalTransformer<float> smooth_channels(CausalTransformer<float> model,
                                                              const Calibration& calibration, double alpha = 0.5) {
  if (!(alpha >= 0 && alpha <= 1)) fail("smooth_channels: alpha is {}, it must lie in 0 .. 1", alpha);
  detail::scale_all_channels(model, [&](const std::string& name, const Linear<float>& map) {
    return smoothing_factors(detail::inputs_of(calibration, name), map.weight, alpha);
  });
  return model;
}

/// The same model with channels scaled so that the rules' rounding leaves less error. Calibrate it anew.
[[nodiscard]] inline CausalTransformer<float> protect_channels(CausalTransformer<float> model,
                                                               const Calibration& calibration,
                                                               std::span<const QuantizationRule> rules) {
  detail::validate_rules(model, rules);
  detail::scale_all_channels(model, [&](const std::string& name, const Linear<float>& map) {
    const WeightQuantization* const how = detail::rule_for(name, rules);
    return how == nullptr ? RowVector<float>{} : protecting_factors(detail::inputs_of(calibration, name), map, *how);
  });
  return model;
}

}  // namespace icrl
