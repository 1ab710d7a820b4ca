// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include <icrl/math/exact_float.hpp>
#include <icrl/math/matrix.hpp>

namespace icrl::detail {

/// The cosine and the sine of an angle.
struct Turn {
  double cosine, sine;

  /// |angle| <= 1: the Taylor series up to angle^21.
  static Turn by(double angle) {
    const double square = exact_product(angle, angle);
    double cosine = 1, sine = 1;
    for (int i = 20; i > 0; i -= 2) {
      cosine = 1 - exact_product(cosine, square / (i * (i - 1)));
      sine = 1 - exact_product(sine, square / ((i + 1) * i));
    }
    return {cosine, exact_product(sine, angle)};
  }
  /// One rotation after the other.
  [[nodiscard]] Turn then(const Turn& next) const {
    return {exact_product(cosine, next.cosine) - exact_product(sine, next.sine),
            exact_product(sine, next.cosine) + exact_product(cosine, next.sine)};
  }
};

/// 2^x for x <= 0: the series of e^y at |y| <= ln 2 / 2, times a power of two. 0 below -1000.
inline double exact_exp2(double x) {
  if (x < -1000) return 0;
  x = hidden(x);
  const double whole = std::floor(x + 0.5), y = exact_product(x - whole, 0.69314718055994530942);
  double power = 1;
  for (int i = 18; i > 0; --i) power = 1 + exact_product(power, y / i);
  return std::ldexp(power, static_cast<int>(whole));
}

}  // namespace icrl::detail

namespace icrl {

/// The rotary positions of `RotaryTable` (nn/rotary.hpp), bit-identical on every target, because no math library is
/// used. Its numbers equal those of `RotaryTable` up to rounding.
class ExactRotary {
public:
  ExactRotary() = default;

  /// For positions 0 .. position_count - 1. `head_size` is even.
  ExactRotary(Index position_count, Index head_size)
      : cosines_{position_count, head_size / 2}, sines_{position_count, head_size / 2} {
    constexpr double log2_of_base = 13.287712379549449;  // base 10000
    for (Index i = 0; i < head_size / 2; ++i) {
      const double share = -2.0 * static_cast<double>(i) / static_cast<double>(head_size);
      const auto step = detail::Turn::by(detail::exact_exp2(detail::exact_product(share, log2_of_base)));
      detail::Turn turn{1, 0};
      for (Index t = 0; t < position_count; ++t, turn = turn.then(step)) {
        cosines_(t, i) = static_cast<float>(turn.cosine);
        sines_(t, i) = static_cast<float>(turn.sine);
      }
    }
  }

  /// Whether the table is empty, as for a model with learned positions.
  [[nodiscard]] bool empty() const { return cosines_.size() == 0; }

  /// (positions, head_size / 2).
  [[nodiscard]] const Matrix<float>& cosines() const { return cosines_; }
  /// (positions, head_size / 2), like `cosines`.
  [[nodiscard]] const Matrix<float>& sines() const { return sines_; }

  /// Rotates `row`, a whole number of heads, for position t.
  void rotate(float* row, Index size, Index t) const {
    using detail::exact_product;
    const Index half = cosines_.cols();
    const float *const cosines = row_data(cosines_, t), *const sines = row_data(sines_, t);
    for (float* head = row; head != row + size; head += 2 * half) {
      for (Index i = 0; i < half; ++i) {
        const float a = head[i], b = head[half + i];
        head[i] = exact_product(a, cosines[i]) - exact_product(b, sines[i]);
        head[half + i] = exact_product(a, sines[i]) + exact_product(b, cosines[i]);
      }
    }
  }

private:
  Matrix<float> cosines_, sines_;  // (positions, D/2)
};

}  // namespace icrl
