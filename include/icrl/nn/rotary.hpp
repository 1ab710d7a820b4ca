// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include <icrl/math/matrix.hpp>

namespace icrl {

/// Rotary positions (Su et al., 2021, section 3.2; pairs as in GPT-NeoX): numbers i and i + D/2 of a head of D numbers
/// are one pair, rotated by the angle position * 10000^(-2i/D). The products of rotated queries and keys depend only on
/// the distance between their positions.
template <std::floating_point S>
class RotaryTable {
public:
  RotaryTable() = default;

  /// For positions 0 .. position_count - 1. `head_size` is even.
  RotaryTable(Index position_count, Index head_size)
      : cosines_{position_count, head_size / 2}, sines_{position_count, head_size / 2} {
    for (Index t = 0; t < position_count; ++t) {
      for (Index i = 0; i < head_size / 2; ++i) {
        const double angle =
            static_cast<double>(t) * std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(head_size));
        cosines_(t, i) = static_cast<S>(std::cos(angle));
        sines_(t, i) = static_cast<S>(std::sin(angle));
      }
    }
  }

  /// Whether the table is empty, as for a model with learned positions.
  [[nodiscard]] bool empty() const { return cosines_.size() == 0; }

  /// Rotates `row`, a whole number of heads, for position t.
  void rotate(S* row, Index size, Index t) const { turn(row, size, t, S(1)); }

  /// The inverse rotation, which is also the transpose, for the backward pass.
  void rotate_back(S* row, Index size, Index t) const { turn(row, size, t, S(-1)); }

private:
  void turn(S* row, Index size, Index t, S direction) const {
    const Index half = cosines_.cols();
    for (Index head = 0; head < size; head += 2 * half) {
      for (Index i = 0; i < half; ++i) {
        const S cosine = cosines_(t, i), sine = direction * sines_(t, i);
        const S a = row[head + i], b = row[head + half + i];
        row[head + i] = a * cosine - b * sine;
        row[head + half + i] = a * sine + b * cosine;
      }
    }
  }

  Matrix<S> cosines_, sines_;  // (positions, D/2)
};

}  // namespace icrl
