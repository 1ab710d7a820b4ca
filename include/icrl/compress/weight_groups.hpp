// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <icrl/compress/quantized_matrix.hpp>
#include <icrl/math/matrix.hpp>

// How weights are rounded in groups: shared by all who make a QuantizedMatrix, so that a weight has one rounding. A
// group's step is what lies between neighboring codes of `step` 1: weight = code * step, step = group scale * scale.
namespace icrl {

/// Bits of a weight, and how many inputs of an output share a group scale; 8 bits have no groups.
struct WeightFormat {
  int bits = 8;      ///< 8, 4, 3 or 2
  Index group = 32;  ///< inputs, at least 1; not used with 8 bits

  /// Inputs that share a scale, of a map with `in` inputs: all with 8 bits, else `group`; the last group may have
  /// fewer.
  [[nodiscard]] constexpr Index group_size(Index in) const { return bits == 8 ? in : group; }
  /// Groups per output.
  [[nodiscard]] Index group_count(Index in) const { return bits == 8 ? 1 : (in + group - 1) / group; }
  friend bool operator==(const WeightFormat&, const WeightFormat&) = default;
};

/// Throws Error for an unsupported number of bits, or an empty group.
inline void validate(const WeightFormat& format) {
  (void)code_range(format.bits);
  if (format.group < 1) fail("quantized weights: group is {}, it must be at least 1", format.group);
}

/// The scales of a matrix (in, out), all whole numbers in `group_scales`.
template <std::floating_point S>
struct WeightScales {
  Matrix<S> group_scales;  ///< (groups, out), from 1 up
  RowVector<S> scales;     ///< (out)

  /// The value of code 1.
  [[nodiscard]] S step(Index group, Index o) const { return group_scales(group, o) * scales(o); }
};

namespace detail {

/// To the nearest whole number, ties to even, for |x| < 2^22. Used instead of std::nearbyint, which is a function call
/// on targets without an instruction for it.
template <std::floating_point S>
[[nodiscard]] inline S nearest_whole(S x) {
  constexpr S shift = std::is_same_v<S, float> ? S(0x1.8p23) : S(0x1.8p52);
  return (x + shift) - shift;
}

/// Codes as floating-point numbers, for loops over weights.
template <std::floating_point S>
struct CodeNumbers {
  S min, max, step, per_step;

  explicit CodeNumbers(const CodeRange& range)
      : min{static_cast<S>(range.min)},
        max{static_cast<S>(range.max)},
        step{static_cast<S>(range.step)},
        per_step{S(1) / step} {}

  /// The code nearest to x, a weight divided by its step.
  [[nodiscard]] S nearest(S x) const {
    const S inside = std::min(std::max(x, min), max);
    return min + step * nearest_whole((inside - min) * per_step);
  }
};

/// 1 / step, or 0 for a step that is 0 or denormal.
template <std::floating_point S>
[[nodiscard]] S inverse_or_zero(S step) {
  return step >= std::numeric_limits<S>::min() ? S(1) / step : S(0);
}

}  // namespace detail

/// The smallest steps that clip no weight: (groups, out).
template <std::floating_point S>
void covering_steps(const Matrix<S>& weight, const WeightFormat& format, Matrix<S>& steps) {
  const CodeRange range = code_range(format.bits);
  const S above = S(1) / static_cast<S>(range.max), below = S(1) / static_cast<S>(range.min);
  const Index in = weight.rows(), out = weight.cols(), size = format.group_size(in);
  if (steps.rows() != format.group_count(in) || steps.cols() != out) steps.resize(format.group_count(in), out);
  std::fill_n(steps.data(), steps.size(), S(0));
  for (Index i = 0; i < in; ++i) {
    S* const to = row_data(steps, i / size);
    const S* const row = row_data(weight, i);
    for (Index o = 0; o < out; ++o) to[o] = std::max(to[o], std::max(row[o] * above, row[o] * below));
  }
}

/// Splits steps (groups, out), all positive or 0, into an integer per group and a scale per output: the group with the
/// largest step of an output gets the largest group scale.
template <std::floating_point S>
void split_steps(const Matrix<S>& steps, const WeightFormat& format, WeightScales<S>& split) {
  const auto most = static_cast<S>(code_range(format.bits).max_group_scale);
  const Index groups = steps.rows(), out = steps.cols();
  if (split.scales.size() != out) split.scales.resize(out);
  if (split.group_scales.rows() != groups || split.group_scales.cols() != out) split.group_scales.resize(groups, out);
  std::fill_n(split.scales.data(), out, S(0));
  for (Index k = 0; k < groups; ++k)
    for (Index o = 0; o < out; ++o) split.scales(o) = std::max(split.scales(o), steps(k, o) / most);
  for (Index k = 0; k < groups; ++k) {
    for (Index o = 0; o < out; ++o) {
      const S ratio = steps(k, o) * detail::inverse_or_zero(split.scales(o));
      split.group_scales(k, o) = std::min(std::max(detail::nearest_whole(ratio), S(1)), most);
    }
  }
}

/// Overwrites `rounded` (in, out) with the values of the codes nearest to `weight`. Allocates only where `rounded` or
/// `inverse` grows.
template <std::floating_point S>
void round_weights(const Matrix<S>& weight, const WeightScales<S>& scales, const WeightFormat& format,
                   RowVector<S>& inverse, Matrix<S>& rounded) {
  const detail::CodeNumbers<S> codes{code_range(format.bits)};
  const Index in = weight.rows(), out = weight.cols(), size = format.group_size(in);
  if (rounded.rows() != in || rounded.cols() != out) rounded.resize(in, out);
  if (inverse.size() != out) inverse.resize(out);
  for (Index i = 0; i < in; ++i) {
    const S* const group = row_data(scales.group_scales, i / size);
    if (i % size == 0)
      for (Index o = 0; o < out; ++o) inverse(o) = detail::inverse_or_zero(group[o] * scales.scales(o));
    const S* const from = row_data(weight, i);
    S* const to = row_data(rounded, i);
    for (Index o = 0; o < out; ++o) to[o] = codes.nearest(from[o] * inverse(o)) * group[o] * scales.scales(o);
  }
}

/// A matrix of given codes (in, out), which are whole numbers.
[[nodiscard]] inline QuantizedMatrix make_quantized(const Matrix<float>& codes, const WeightScales<float>& scales,
                                                    const WeightFormat& format) {
  const Index in = codes.rows(), out = codes.cols();
  QuantizedMatrix matrix{.in = in,
                         .out = out,
                         .bits = format.bits,
                         .group = format.bits == 8 ? 0 : static_cast<int>(format.group),
                         .codes = {},
                         .group_scales = {},
                         .scales = {scales.scales.data(), scales.scales.data() + out}};
  for (Index i = 0; i < codes.size(); ++i) matrix.codes.push_back(static_cast<std::int8_t>(codes.data()[i]));
  for (Index i = 0; format.bits < 8 && i < scales.group_scales.size(); ++i)
    matrix.group_scales.push_back(static_cast<std::uint8_t>(scales.group_scales.data()[i]));
  return matrix;
}

/// The matrix of the codes nearest to `weight`: dequantized, it is bit-identical to the result of `round_weights`.
[[nodiscard]] inline QuantizedMatrix encode_weights(const Matrix<float>& weight, const WeightScales<float>& scales,
                                                    const WeightFormat& format) {
  const detail::CodeNumbers<float> numbers{code_range(format.bits)};
  const Index size = format.group_size(weight.rows());
  Matrix<float> codes(weight.rows(), weight.cols());
  for (Index i = 0; i < codes.rows(); ++i)
    for (Index o = 0; o < codes.cols(); ++o)
      codes(i, o) = numbers.nearest(weight(i, o) * detail::inverse_or_zero(scales.step(i / size, o)));
  return make_quantized(codes, scales, format);
}

}  // namespace icrl
