// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/math/matrix.hpp>

namespace icrl {

/// The codes that a weight of `bits` bits may have, every `step`-th of min .. max, and the largest scale of a group. A
/// code times a group's scale lies within -127 .. 127, so that weights of any width are int8 in use.
struct CodeRange {
  /// Codes are min, min + step, .. max; group scales are 1 .. max_group_scale.
  int min, max, max_group_scale, step = 1;

  /// From 0 up: what a file packs.
  [[nodiscard]] int index_of(int code) const { return (code - min) / step; }
  /// The inverse of `index_of`.
  [[nodiscard]] int code_at(int index) const { return min + step * index; }
  /// Whether weights can have this code.
  [[nodiscard]] bool has(int code) const { return code >= min && code <= max && (code - min) % step == 0; }
};

/// For 8, 4, 3 or 2 bits. Those of 2 bits are -3, -1, 1 and 3: without zero but symmetric around it, which has a fifth
/// less squared error than -2 .. 1. Throws Error for other widths.
[[nodiscard]] inline CodeRange code_range(int bits) {
  switch (bits) {
    case 8:
      return {-127, 127, 1};
    case 4:
      return {-8, 7, 15};
    case 3:
      return {-4, 3, 31};
    case 2:
      return {-3, 3, 42, 2};
    default:
      fail("quantized weights: bits is {}, it must be 8, 4, 3 or 2", bits);
  }
}

/// The weights (in, out) of a linear map, rounded: weight = code * group scale * scale of its output. A group is
/// `group` inputs of one output (the last group may have fewer); without groups (`group` 0) all group scales are 1, as
/// they are for 8 bits.
struct QuantizedMatrix {
  Index in = 0, out = 0;                   ///< sizes of the map
  int bits = 8;                            ///< 8, 4, 3 or 2
  int group = 0;                           ///< inputs per group
  std::vector<std::int8_t> codes;          ///< (in, out), row-major
  std::vector<std::uint8_t> group_scales;  ///< (groups, out), from 1 up; empty without groups
  std::vector<float> scales;               ///< (out), finite, not negative

  /// Groups per output.
  [[nodiscard]] Index group_count() const { return group == 0 ? 1 : (in + group - 1) / group; }

  /// The weight of input i for output o in units of the output's scale, -127 .. 127.
  [[nodiscard]] int value(Index i, Index o) const {
    ICRL_ASSERT(i >= 0 && i < in && o >= 0 && o < out, "QuantizedMatrix: an index lies outside the matrix");
    const int code = codes[static_cast<std::size_t>(i * out + o)];
    return group == 0 ? code : code * group_scales[static_cast<std::size_t>(i / group * out + o)];
  }

  /// The weight itself.
  [[nodiscard]] float weight(Index i, Index o) const {
    return static_cast<float>(value(i, o)) * scales[static_cast<std::size_t>(o)];
  }
};

/// Throws Error if sizes do not fit each other or a number lies outside its range; `what` names the matrix in the error
/// text.
inline void validate(const QuantizedMatrix& matrix, std::string_view what) {
  const CodeRange range = code_range(matrix.bits);
  if (matrix.in < 1 || matrix.out < 1)
    fail("{}: has {} inputs and {} outputs, both must be positive", what, matrix.in, matrix.out);
  if (matrix.group < 0) fail("{}: group is {}, it must be at least 1, or 0 for no groups", what, matrix.group);
  if (matrix.bits == 8 && matrix.group != 0)
    fail("{}: group is {}, for weights of 8 bits it must be 0", what, matrix.group);
  const auto check_size = [&](const char* name, std::size_t size, Index expected) {
    if (size != static_cast<std::size_t>(expected)) fail("{}: has {} {}, it needs {}", what, size, name, expected);
  };
  check_size("codes", matrix.codes.size(), matrix.in * matrix.out);
  check_size("scales", matrix.scales.size(), matrix.out);
  check_size("group scales", matrix.group_scales.size(), matrix.group == 0 ? 0 : matrix.group_count() * matrix.out);
  for (std::size_t i = 0; i < matrix.codes.size(); ++i) {
    const int code = matrix.codes[i];
    if (code < range.min || code > range.max)
      fail("{}: code {} is {}, outside {} .. {}", what, i, code, range.min, range.max);
    if (!range.has(code))
      fail("{}: code {} is {}, but codes of {} bits go from {} in steps of {}", what, i, code, matrix.bits, range.min,
           range.step);
  }
  for (std::size_t i = 0; i < matrix.group_scales.size(); ++i) {
    if (matrix.group_scales[i] < 1 || matrix.group_scales[i] > range.max_group_scale)
      fail("{}: group scale {} is {}, outside 1 .. {}", what, i, matrix.group_scales[i], range.max_group_scale);
  }
  for (std::size_t i = 0; i < matrix.scales.size(); ++i) {
    if (!std::isfinite(matrix.scales[i]) || std::signbit(matrix.scales[i]))
      fail("{}: scale {} is {}, it must be finite and not negative", what, i, matrix.scales[i]);
  }
}

/// The weights of a linear map, not rounded: (in, out).
[[nodiscard]] inline Matrix<float> dequantized(const QuantizedMatrix& matrix) {
  Matrix<float> weights(matrix.in, matrix.out);
  for (Index i = 0; i < matrix.in; ++i)
    for (Index o = 0; o < matrix.out; ++o) weights(i, o) = matrix.weight(i, o);
  return weights;
}

}  // namespace icrl
