// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/math/matrix.hpp>

namespace icrl {

/// Where a transformer's training passes drop numbers, and how many of them: probabilities in [0, 1).
struct DropoutRates {
  double embedding = 0;  ///< of the tokens that the embedding writes
  double residual = 0;   ///< of what attention and the feed-forward layer add to the residual stream
  double attention = 0;  ///< of attention's weights, after the softmax

  /// Whether there is any dropout.
  [[nodiscard]] bool is_used() const { return embedding != 0 || residual != 0 || attention != 0; }
};

/// Throws Error naming the first rate that is out of range.
inline void validate(const DropoutRates& rates) {
  const auto check = [](const char* name, double rate) {
    if (!(rate >= 0 && rate < 1)) fail("dropout: {} is {}, it must lie in [0, 1)", name, rate);
  };
  check("embedding", rates.embedding);
  check("residual", rates.residual);
  check("attention", rates.attention);
}

/// Inverted dropout (Srivastava et al., 2014): a number becomes 0 with probability `rate`, else it is divided by
/// 1 - rate, which keeps its mean. Whether number (row, column) is dropped is a function of the generator, row and
/// column alone. So the derivative is the same call on dy as the forward pass makes on y, and no mask has to be kept.
class Dropout {
public:
  /// `rate` lies in [0, 1).
  Dropout(double rate, const Rng& masks)
      : masks_{masks}, threshold_{static_cast<std::uint64_t>(rate * 0x1p32)}, scale_{1 / (1 - rate)} {}

  /// Whether it changes anything.
  [[nodiscard]] bool is_used() const { return threshold_ > 0; }

  /// Drops some of the first `count` numbers of row `row`, in place.
  template <typename S>
  void drop_row(Index row, S* x, Index count) const {
    Rng own = masks_.fork(static_cast<std::uint64_t>(row));
    const auto scale = static_cast<S>(scale_);
    const auto dropped = [&](S value, std::uint64_t bits) { return bits < threshold_ ? S(0) : value * scale; };
    Index i = 0;
    for (; i + 1 < count; i += 2) {
      const std::uint64_t bits = own.bits();
      x[i] = dropped(x[i], bits >> 32);
      x[i + 1] = dropped(x[i + 1], bits & 0xFFFFFFFFu);
    }
    if (i < count) x[i] = dropped(x[i], own.bits() >> 32);
  }

  /// Drops numbers of a matrix, in place.
  template <typename S>
  void drop(MatrixOut<S> x) const {
    for (Index r = 0; r < x.rows(); ++r) drop_row(r, row_data(x, r), x.cols());
  }

private:
  Rng masks_;
  std::uint64_t threshold_;  // of 32 random bits, in 0 .. 2^32
  double scale_;
};

}  // namespace icrl
