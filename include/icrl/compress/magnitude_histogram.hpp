// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/fail.hpp>

namespace icrl {

/// Counts numbers by magnitude in bins of equal width, to choose the range of a static quantization. The width is a
/// power of two that follows the largest number; what was seen before is put into the wider bins, so that the order of
/// the numbers does not matter.
class MagnitudeHistogram {
public:
  static constexpr std::size_t bin_count = 2048;  ///< of equal width, from 0 up

  /// Throws Error, with nothing added, where a number is not finite.
  void add(std::span<const float> numbers) {
    float most = largest_;
    for (const float number : numbers) {
      if (!std::isfinite(number)) fail("magnitude histogram: a number is {}, it must be finite", number);
      most = std::max(most, std::abs(number));
    }
    widen(most);
    const float per_bin = 1 / bin_width_;
    for (const float number : numbers) ++counts_[static_cast<std::size_t>(std::abs(number) * per_bin)];
    total_ += numbers.size();
  }

  /// Numbers that were counted.
  [[nodiscard]] std::uint64_t total() const { return total_; }
  /// The largest magnitude.
  [[nodiscard]] float largest() const { return largest_; }

  /// A magnitude that a share of all numbers does not exceed, 0 < share <= 1, exact to the width of a bin: at most a
  /// thousandth of the largest.
  [[nodiscard]] float percentile(double share) const {
    ICRL_ASSERT(share > 0 && share <= 1, "percentile: share must be above 0 and at most 1");
    const double wanted = share * static_cast<double>(total_);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < bin_count; ++i) {
      seen += counts_[i];
      if (static_cast<double>(seen) >= wanted) return std::min(edge(i + 1), largest_);
    }
    return largest_;
  }

  /// The range whose quantized distribution of magnitudes is closest, in relative entropy, to that of all numbers,
  /// where larger ones are clipped to it (Migacz, 2017, "8-bit inference with TensorRT"). The quantization has `levels`
  /// different magnitudes.
  [[nodiscard]] float entropy_range(std::size_t levels = 128) const {
    ICRL_ASSERT(levels > 0 && levels <= bin_count, "entropy_range: levels must lie in 1 .. bin_count");
    double least = std::numeric_limits<double>::infinity();
    float best = largest_;
    std::size_t used = bin_count;
    while (used > levels && counts_[used - 1] == 0) --used;
    for (std::size_t bins = levels; bins <= used; ++bins) {
      const double divergence = divergence_of(bins, levels);
      if (divergence >= least) continue;
      least = divergence;
      best = std::min(edge(bins), largest_);
    }
    return best;
  }

private:
  [[nodiscard]] float edge(std::size_t bin) const { return static_cast<float>(bin) * bin_width_; }

  void widen(float most) {
    largest_ = most;
    while (most >= edge(bin_count)) {
      for (std::size_t i = 0; i < bin_count; ++i) {
        const std::uint64_t pair = 2 * i < bin_count ? counts_[2 * i] + counts_[2 * i + 1] : 0;
        counts_[i] = pair;
      }
      bin_width_ *= 2;
    }
  }

  /// KL(P || Q) of the first `bins` bins: the last bin of P includes all larger numbers; Q spreads the count of each
  /// level evenly over those of its bins that are not empty.
  [[nodiscard]] double divergence_of(std::size_t bins, std::size_t levels) const {
    std::uint64_t beyond = 0, inside = 0;
    for (std::size_t i = 0; i < bin_count; ++i) (i < bins ? inside : beyond) += counts_[i];
    if (inside == 0) return std::numeric_limits<double>::infinity();
    const auto all = static_cast<double>(inside + beyond);
    double divergence = 0;
    for (std::size_t level = 0; level < levels; ++level) {
      const std::size_t first = level * bins / levels, last = (level + 1) * bins / levels;
      double count = 0, filled = 0;
      for (std::size_t i = first; i < last; ++i) {
        count += static_cast<double>(counts_[i]);
        filled += counts_[i] > 0 || (i + 1 == bins && beyond > 0) ? 1 : 0;
      }
      for (std::size_t i = first; i < last; ++i) {
        const double p = static_cast<double>(counts_[i] + (i + 1 == bins ? beyond : 0)) / all;
        if (p == 0) continue;
        const double q = count / filled / static_cast<double>(inside);
        if (q == 0) return std::numeric_limits<double>::infinity();
        divergence += p * std::log(p / q);
      }
    }
    return divergence;
  }

  std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>(bin_count);
  std::uint64_t total_ = 0;
  float largest_ = 0, bin_width_ = 0x1p-40f;
};

}  // namespace icrl
