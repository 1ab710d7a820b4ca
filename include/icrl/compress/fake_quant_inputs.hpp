// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>

#include <icrl/compress/weight_groups.hpp>
#include <icrl/math/matrix.hpp>

namespace icrl {

/// Whether and how a map that is trained for quantization rounds its inputs to 8 bits, symmetrically, to -127 .. 127.
enum class InputRounding {
  none,
  per_token,     ///< the range of a token is its largest |x|, as integer models have it
  learned_range  ///< one range, learned; what is beyond is cut to it (PACT, Choi et al., 2018, for both signs)
};

/// rounded = round(x * 127 / max|x|) * (max|x| / 127), token by token: (T, in). Backward takes it for the identity.
template <std::floating_point S>
void round_inputs(MatrixIn<S> x, MatrixOut<S> rounded) {
  for (Index t = 0; t < x.rows(); ++t) {
    const S* const from = row_data(x, t);
    S* const to = row_data(rounded, t);
    S largest = 0;
    for (Index i = 0; i < x.cols(); ++i) largest = std::max(largest, std::abs(from[i]));
    const S per_step = S(127) * detail::inverse_or_zero(largest), step = largest / S(127);
    for (Index i = 0; i < x.cols(); ++i) to[i] = detail::nearest_whole(from[i] * per_step) * step;
  }
}

/// The same with one range for all tokens, to which larger numbers are clipped.
template <std::floating_point S>
void clip_inputs(MatrixIn<S> x, S range, MatrixOut<S> rounded) {
  const S per_step = S(127) / range, step = range / S(127);
  for (Index t = 0; t < x.rows(); ++t) {
    const S* const from = row_data(x, t);
    S* const to = row_data(rounded, t);
    for (Index i = 0; i < x.cols(); ++i)
      to[i] = detail::nearest_whole(std::min(std::max(from[i], -range), range) * per_step) * step;
  }
}

/// dx (T, in) holds the derivative with respect to the rounded inputs on entry and to x on return: 0 for clipped
/// numbers, whose derivative goes to the range. Adds the derivative with respect to the range's logarithm to
/// `dlog_range`.
template <std::floating_point S>
void clip_inputs_backward(MatrixIn<S> x, S range, MatrixOut<S> dx, S& dlog_range) {
  S drange = 0;
  for (Index t = 0; t < x.rows(); ++t) {
    const S* const from = row_data(x, t);
    S* const d = row_data(dx, t);
    for (Index i = 0; i < x.cols(); ++i) {
      if (std::abs(from[i]) < range) continue;
      drange += from[i] > 0 ? d[i] : -d[i];
      d[i] = 0;
    }
  }
  dlog_range += drange * range;
}

}  // namespace icrl
