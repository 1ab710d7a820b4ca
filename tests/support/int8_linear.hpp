// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <icrl/nn/linear.hpp>

namespace icrl::test {

/// y = x W + b with weights of 8 bits and one scale per output. It has no backward: a model of such maps acts, and by
/// type cannot be trained.
struct Int8Linear {
  using Scalar = float;
  using Scratch = NoMemory;

  Index in, out;
  std::vector<std::int8_t> weight;  ///< (in, out)
  RowVector<float> scale, bias;     ///< (out)

  Int8Linear(Index inputs, Index outputs)
      : in{inputs},
        out{outputs},
        weight(static_cast<std::size_t>(inputs * outputs)),
        scale{RowVector<float>::Ones(outputs)},
        bias{RowVector<float>::Zero(outputs)} {}
  explicit Int8Linear(const Linear<float>& from) : Int8Linear{from.input_size(), from.output_size()} {
    bias = from.bias;
    for (Index c = 0; c < out; ++c) {
      const float largest = from.weight.col(c).cwiseAbs().maxCoeff();
      scale(c) = largest > 0 ? largest / 127 : 1;
      for (Index r = 0; r < in; ++r)
        weight[static_cast<std::size_t>(r * out + c)] =
            static_cast<std::int8_t>(std::lround(from.weight(r, c) / scale(c)));
    }
  }

  [[nodiscard]] Index input_size() const { return in; }
  [[nodiscard]] Index output_size() const { return out; }
  static void reserve(Scratch&, Index) {}

  void forward(MatrixIn<float> x, Scratch& none, MatrixOut<float> y) const {
    y.setZero();
    add_forward(x, none, y);
  }
  void add_forward(MatrixIn<float> x, Scratch&, MatrixOut<float> y) const {
    for (Index t = 0; t < x.rows(); ++t) {
      for (Index c = 0; c < out; ++c) {
        float sum = 0;
        for (Index r = 0; r < in; ++r)
          sum += x(t, r) * static_cast<float>(weight[static_cast<std::size_t>(r * out + c)]);
        y(t, c) += sum * scale(c) + bias(c);
      }
    }
  }
};

}  // namespace icrl::test
