// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <tuple>

#include <icrl/compress/fake_quant_inputs.hpp>
#include <icrl/compress/step_search.hpp>
#include <icrl/compress/weight_groups.hpp>
#include <icrl/math/product.hpp>
#include <icrl/math/row_kernels.hpp>
#include <icrl/nn/layer.hpp>
#include <icrl/nn/linear.hpp>

namespace icrl {

/// What a map that is trained for quantization rounds, and how. This is part of its type, because a transformer
/// constructs its maps from their sizes alone.
struct FakeQuant {
  int bits = 4;              ///< of weights: 8, 4, 3 or 2
  Index group = 32;          ///< inputs per group scale, of fewer than 8 bits
  bool learns_steps = true;  ///< or else steps cover the largest weight of their group (weight_groups.hpp)
  InputRounding inputs = InputRounding::none;  ///< whether and how inputs are rounded, too

  /// Bits and group as the functions of weight_groups.hpp take them.
  [[nodiscard]] constexpr WeightFormat format() const { return {bits, group}; }
};

/// y = x Q(W) + b for quantization-aware training: Q rounds the weights to what a QuantizedMatrix can hold, integer
/// group scales included, and `quantized()` is that matrix, without a further error. Every call rounds the weights
/// again, which costs little for windows of many tokens; to act, convert the model first.
///
/// Backward treats rounding as the identity (Bengio et al., 2013): dW = dQ. With learned steps (LSQ, Esser et al.,
/// 2020) a weight beyond the outermost codes gets no gradient, and the step s of a group of N weights gets, with v = w
/// / s and q the code, max the largest code,
///   ds = sum of dQ * (q - v within the codes, q beyond) / sqrt(N max)
/// Steps are stored as logarithms, so that AdamW changes them by factors and they stay positive.
template <std::floating_point S, FakeQuant how>
struct FakeQuantLinear {
  using Scalar = S;
  static constexpr WeightFormat format = how.format();  ///< of the weights

  Matrix<S> weight;        ///< (in, out), not rounded
  RowVector<S> bias;       ///< (out)
  RowVector<S> log_steps;  ///< (groups * out), group after group; empty where steps are not learned
  RowVector<S> log_clip;   ///< (1) of the learned range of inputs; empty without one

  /// What a call rounds.
  struct Rounded {
    Matrix<S> steps;         ///< (groups, out), before they are split
    WeightScales<S> scales;  ///< what the steps are split into
    RowVector<S> inverse;    ///< (out)
    Matrix<S> weight;        ///< (in, out)
    Matrix<S> x;             ///< (T, in); empty where inputs are not rounded
  };
  /// The results of the forward pass that backward needs.
  struct Cache {
    Rounded rounded;  ///< of this call
  };
  /// Temporary memory of one call.
  struct Scratch {
    Rounded rounded;       ///< of a call that acts
    Matrix<S> dweight;     ///< (in, out), by the rounded weights
    Matrix<S> dsteps;      ///< (groups, out)
    RowVector<S> inverse;  ///< (out), of a group's steps
  };

  /// Weights and biases zero, learned steps the smallest ones. A learned range of inputs begins at 8.
  FakeQuantLinear(Index in, Index out) : weight{Matrix<S>::Zero(in, out)}, bias{RowVector<S>::Zero(out)} {
    if (how.learns_steps) log_steps = RowVector<S>::Constant(format.group_count(in) * out, log_of_smallest);
    if (how.inputs == InputRounding::learned_range) log_clip = RowVector<S>::Constant(1, std::log(S(8)));
  }

  [[nodiscard]] Index input_size() const { return weight.rows(); }
  [[nodiscard]] Index output_size() const { return weight.cols(); }
  [[nodiscard]] static std::int64_t weight_count(std::int64_t in, std::int64_t out) {
    return in * out + out + (how.learns_steps ? format.group_count(in) * out : 0) +
           (how.inputs == InputRounding::learned_range ? 1 : 0);
  }

  /// Takes over a trained map. Learned steps begin at those of the least squared error, a learned range of inputs at
  /// `largest_input`.
  void adopt(const Linear<S>& map, S largest_input = S(8)) {
    ICRL_ASSERT(map.input_size() == input_size() && map.output_size() == output_size(),
                "adopt: the maps have different shapes");
    weight = map.weight;
    bias = map.bias;
    reset_steps();
    if (log_clip.size() > 0) log_clip(0) = std::log(std::max(largest_input, S(1e-6)));
  }

  void reserve(Scratch& scratch, Index rows) const {
    reserve_rows(scratch.rounded.weight, input_size(), output_size());
    if (how.inputs != InputRounding::none) reserve_rows(scratch.rounded.x, rows, input_size());
  }

  /// y = x Q(W) + b. x (T, in) -> y (T, out).
  void forward(MatrixIn<S> x, Scratch& scratch, MatrixOut<S> y) const { forward(x, scratch.rounded, y, false); }
  void add_forward(MatrixIn<S> x, Scratch& scratch, MatrixOut<S> y) const { forward(x, scratch.rounded, y, true); }
  void forward(MatrixIn<S> x, Cache& cache, Scratch&, MatrixOut<S> y) const { forward(x, cache.rounded, y, false); }
  void add_forward(MatrixIn<S> x, Cache& cache, Scratch&, MatrixOut<S> y) const { forward(x, cache.rounded, y, true); }

  /// Adds to `grad`, overwrites dx.
  void backward(MatrixIn<S> x, MatrixIn<S> dy, const Cache& cache, Scratch& scratch, FakeQuantLinear& grad,
                MatrixOut<S> dx) const {
    const Rounded& rounded = cache.rounded;
    add_column_sums<S>(dy, grad.bias);
    multiply_transposed<S>(dy, rounded.weight, dx);
    const auto add_products = [&](Matrix<S>& dweight) {
      if constexpr (how.inputs == InputRounding::none) {
        add_transposed_product<S>(x, dy, dweight);
      } else {
        add_transposed_product<S>(rounded.x.topRows(x.rows()), dy, dweight);
      }
    };
    if constexpr (how.learns_steps) {
      reserve_rows(scratch.dweight, input_size(), output_size());
      std::fill_n(scratch.dweight.data(), scratch.dweight.size(), S(0));
      add_products(scratch.dweight);
      backward_steps(rounded, scratch, grad);
    } else {
      add_products(grad.weight);
    }
    if constexpr (how.inputs == InputRounding::learned_range)
      clip_inputs_backward<S>(x, std::exp(log_clip(0)), dx, grad.log_clip(0));
  }

  void initialize(const WeightScale& scale, Rng& rng) {
    fill_normal(weight, scale.inner, rng);
    reset_steps();
  }

  /// The rounded weights as they are stored.
  [[nodiscard]] QuantizedMatrix quantized() const requires std::same_as<S, float> {
    Rounded rounded;
    find_scales(rounded);
    return encode_weights(weight, rounded.scales, format);
  }

  static constexpr auto parameters() {
    using L = FakeQuantLinear;
    const auto plain = std::tuple{Field{"weight", &L::weight}, Field{"bias", &L::bias}};
    const auto steps = [] {
      if constexpr (how.learns_steps) {
        return std::tuple{Field{"log_steps", &L::log_steps}};
      } else {
        return std::tuple{};
      }
    };
    const auto clip = [] {
      if constexpr (how.inputs == InputRounding::learned_range) {
        return std::tuple{Field{"log_clip", &L::log_clip}};
      } else {
        return std::tuple{};
      }
    };
    return std::tuple_cat(plain, steps(), clip());
  }

private:
  static constexpr S log_of_smallest = S(-16);  ///< of a step: of groups that hold nothing but zeros

  void forward(MatrixIn<S> x, Rounded& rounded, MatrixOut<S> y, bool add) const {
    find_scales(rounded);
    round_weights(weight, rounded.scales, format, rounded.inverse, rounded.weight);
    if constexpr (how.inputs == InputRounding::none) {
      multiply(x, rounded.weight, y, add);
    } else {
      reserve_rows(rounded.x, x.rows(), x.cols());
      auto inputs = rounded.x.topRows(x.rows());
      if constexpr (how.inputs == InputRounding::per_token) {
        round_inputs<S>(x, inputs);
      } else {
        clip_inputs<S>(x, std::exp(log_clip(0)), inputs);
      }
      multiply(inputs, rounded.weight, y, add);
    }
  }
  void multiply(MatrixIn<S> x, const Matrix<S>& rounded, MatrixOut<S> y, bool add) const {
    if (add) {
      add_affine<S>(x, rounded, bias, y);
    } else {
      affine<S>(x, rounded, bias, y);
    }
  }

  void find_scales(Rounded& rounded) const {
    if constexpr (how.learns_steps) {
      const Index groups = format.group_count(input_size());
      if (rounded.steps.rows() != groups || rounded.steps.cols() != output_size())
        rounded.steps.resize(groups, output_size());
      for (Index i = 0; i < log_steps.size(); ++i) rounded.steps.data()[i] = std::exp(log_steps(i));
    } else {
      covering_steps(weight, format, rounded.steps);
    }
    split_steps(rounded.steps, format, rounded.scales);
  }

  /// dW and the derivative with respect to the logarithms of steps, by the formula above.
  void backward_steps(const Rounded& rounded, Scratch& scratch, FakeQuantLinear& grad) const {
    const detail::CodeNumbers<S> codes{code_range(format.bits)};
    const Index in = input_size(), out = output_size(), size = format.group_size(in);
    Matrix<S>& dsteps = scratch.dsteps;
    reserve_rows(dsteps, rounded.steps.rows(), out);
    std::fill_n(dsteps.data(), dsteps.size(), S(0));
    if (scratch.inverse.size() != out) scratch.inverse.resize(out);
    for (Index i = 0; i < in; ++i) {
      const Index k = i / size;
      if (i % size == 0)
        for (Index o = 0; o < out; ++o) scratch.inverse(o) = detail::inverse_or_zero(rounded.scales.step(k, o));
      const S* const w = row_data(weight, i);
      const S* const d = row_data(scratch.dweight, i);
      const S* const inverse = scratch.inverse.data();
      S* const dw = row_data(grad.weight, i);
      S* const ds = row_data(dsteps, k);
      for (Index o = 0; o < out; ++o) {
        const S v = w[o] * inverse[o], code = codes.nearest(v);
        const bool is_inside = v > codes.min && v < codes.max;
        dw[o] += is_inside ? d[o] : S(0);
        ds[o] += d[o] * (is_inside ? code - v : code);
      }
    }
    for (Index k = 0; k < rounded.steps.rows(); ++k) {
      const Index weights = std::min(size, in - k * size);  // the last group may be shorter
      const S per_group = S(1) / std::sqrt(static_cast<S>(weights) * codes.max);
      for (Index o = 0; o < out; ++o) grad.log_steps(k * out + o) += dsteps(k, o) * rounded.steps(k, o) * per_group;
    }
  }

  void reset_steps() {
    if constexpr (how.learns_steps) {
      const WeightScales<float> found =
          search_scales(weight.template cast<float>(), RowVector<float>::Ones(input_size()), format);
      for (Index k = 0; k < found.group_scales.rows(); ++k)
        for (Index o = 0; o < output_size(); ++o)
          log_steps(k * output_size() + o) = std::max(log_of_smallest, static_cast<S>(std::log(found.step(k, o))));
    }
  }
};

}  // namespace icrl
