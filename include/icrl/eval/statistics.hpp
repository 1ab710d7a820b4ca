// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>

namespace icrl {

/// The mean. Throws Error if there are no values.
[[nodiscard]] inline double mean(std::span<const double> values) {
  if (values.empty()) fail("mean: there are no values, it needs at least one");
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

namespace detail {

/// Sorting needs an order, which NaN does not have. Throws Error, which begins with `what`.
inline void check_all_finite(std::span<const double> values, std::string_view what) {
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i])) fail("{} {} is {}, it must be finite", what, i, values[i]);
}

}  // namespace detail

/// Interquartile mean: the mean of the middle half of the sorted values (Agarwal et al., 2021). If the number of values
/// is not a multiple of 4, the two outermost of these values count with a fraction. A few very good or very bad tasks
/// do not change it. Throws Error if there are no values or one is not finite.
[[nodiscard]] inline double interquartile_mean(std::span<const double> values) {
  if (values.empty()) fail("interquartile mean: there are no values, it needs at least one");
  detail::check_all_finite(values, "interquartile mean: value");
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const auto size = static_cast<double>(sorted.size());
  double total = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const double begin = static_cast<double>(i),
                 inside = std::min(begin + 1, 0.75 * size) - std::max(begin, 0.25 * size);
    total += std::max(0.0, inside) * sorted[i];
  }
  return total / (0.5 * size);
}

/// The numbers from `low` to `high`.
struct Interval {
  double low = 0, high = 0;  ///< low <= high
};

/// How a bootstrap interval is computed.
struct BootstrapConfig {
  int resamples = 2000;  ///< drawn sets of values, at least 1; more make the interval itself less random
  double level = 0.95;   ///< confidence level
  /// Number of groups of equal length in the values, for example one group per trained model with its tasks. Groups are
  /// drawn first, then values within each (Davison & Hinkley, 1997, section 3.8), so effects that the values of a group
  /// share widen the interval. 1 = the values are independent.
  int clusters = 1;
  std::uint64_t seed = 0;  ///< of the resamples
};

/// A percentile bootstrap interval (Efron & Tibshirani, 1993, chapter 13) of `statistic(std::span<const double>)`. The
/// values, or the clusters of the configuration, must be independent: if a task was run several times, pass one value
/// per task. Throws Error if there are no values, or if a value or a statistic is not finite.
template <typename Statistic>
[[nodiscard]] Interval bootstrap_interval(std::span<const double> values, Statistic&& statistic,
                                          const BootstrapConfig& config = {}) {
  if (values.empty()) fail("bootstrap: there are no values, it needs at least one");
  detail::check_all_finite(values, "bootstrap: value");
  if (config.resamples < 1 || !(config.level > 0 && config.level < 1)) {
    fail("bootstrap: resamples is {} and level is {}, but resamples must be at least 1 and level between 0 and 1",
         config.resamples, config.level);
  }
  if (config.clusters < 1 || values.size() % static_cast<std::size_t>(config.clusters) != 0)
    fail("bootstrap: {} values cannot be divided into {} clusters of equal size", values.size(), config.clusters);
  const std::size_t size = values.size() / static_cast<std::size_t>(config.clusters);
  std::vector<double> drawn(values.size()), statistics;
  for (int i = 0; i < config.resamples; ++i) {
    Rng rng{config.seed, static_cast<std::uint64_t>(i)};
    for (std::size_t first = 0; first < drawn.size(); first += size) {
      const auto cluster = static_cast<std::size_t>(config.clusters == 1 ? 0 : rng.below(config.clusters));
      for (std::size_t j = first; j < first + size; ++j)
        drawn[j] = values[cluster * size + static_cast<std::size_t>(rng.below(static_cast<int>(size)))];
    }
    statistics.push_back(statistic(std::span<const double>{drawn}));
  }
  detail::check_all_finite(statistics, "bootstrap: the statistic of resample");
  std::sort(statistics.begin(), statistics.end());
  const double last = static_cast<double>(statistics.size() - 1), tail = (1 - config.level) / 2;
  const auto at = [&](double share) { return statistics[static_cast<std::size_t>(std::lround(share * last))]; };
  return {at(tail), at(1 - tail)};
}

/// A mean with a confidence interval.
struct Estimate {
  double value = 0;     ///< of all values
  Interval interval{};  ///< see bootstrap_interval
};

/// The mean with its bootstrap interval. Throws Error as bootstrap_interval does.
[[nodiscard]] inline Estimate estimate_mean(std::span<const double> values, const BootstrapConfig& config = {}) {
  return {mean(values), bootstrap_interval(values, mean, config)};
}

/// The interquartile mean with its bootstrap interval. Throws Error as bootstrap_interval does.
[[nodiscard]] inline Estimate estimate_interquartile_mean(std::span<const double> values,
                                                          const BootstrapConfig& config = {}) {
  return {interquartile_mean(values), bootstrap_interval(values, interquartile_mean, config)};
}

}  // namespace icrl
