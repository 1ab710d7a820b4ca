// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/fail.hpp>

namespace icrl {

/// How often each arm of a bandit was pulled and what it paid, over all pulls or over the last ones.
class ArmStatistics {
public:
  /// `window`: how many pulls count, 0 = all. Throws Error, which begins with `what`, for a number outside its range.
  ArmStatistics(int arms, int window, std::string_view what) : window_{window} {
    if (arms < 1) fail("{}: arms is {}, it must be at least 1", what, arms);
    if (window < 0 || window > largest_window)
      fail("{}: window is {}, it must lie in 0 (all pulls) .. {}", what, window, largest_window);
    counts_.resize(static_cast<std::size_t>(arms));
    sums_.resize(static_cast<std::size_t>(arms));
    pulls_.reserve(static_cast<std::size_t>(window));
  }

  /// Adds a pull of an arm. If the window is full, the oldest pull in it is forgotten.
  void add(int arm, double reward) {
    ICRL_ASSERT(arm >= 0 && arm < arm_count(), "arm statistics: arm must lie in 0 .. arm_count() - 1");
    if (window_ > 0) {
      if (pulls_.size() < static_cast<std::size_t>(window_)) {
        pulls_.push_back({arm, reward});
      } else {
        forget(pulls_[oldest_]);
        pulls_[oldest_] = {arm, reward};
        oldest_ = (oldest_ + 1) % pulls_.size();
      }
    }
    ++counts_[static_cast<std::size_t>(arm)];
    sums_[static_cast<std::size_t>(arm)] += reward;
    ++total_;
  }

  /// Number of arms, which are 0 .. arm_count() - 1.
  [[nodiscard]] int arm_count() const { return static_cast<int>(counts_.size()); }
  /// Pulls of this arm that count.
  [[nodiscard]] int count(int arm) const { return counts_[static_cast<std::size_t>(arm)]; }
  /// What they paid in all.
  [[nodiscard]] double sum(int arm) const { return sums_[static_cast<std::size_t>(arm)]; }
  /// Pulls of all arms that count.
  [[nodiscard]] int total() const { return total_; }

private:
  static constexpr int largest_window = 1 << 24;
  struct Pull {
    int arm;
    double reward;
  };

  void forget(const Pull& pull) {
    const auto arm = static_cast<std::size_t>(pull.arm);
    --total_;
    sums_[arm] -= pull.reward;
    if (--counts_[arm] == 0) sums_[arm] = 0;  // without what rounding has left
  }

  int window_, total_ = 0;
  std::vector<int> counts_;   // (arms)
  std::vector<double> sums_;  // (arms)
  std::vector<Pull> pulls_;   // a ring of the last ones
  std::size_t oldest_ = 0;
};

namespace detail {

/// The arm with the largest `index(arm)`, the first of equal ones.
template <typename Index>
[[nodiscard]] int best_arm(int arms, Index&& index) {
  int best = 0;
  double largest = index(0);
  for (int arm = 1; arm < arms; ++arm) {
    const double value = index(arm);
    if (value > largest) {
      largest = value;
      best = arm;
    }
  }
  return best;
}

}  // namespace detail

}  // namespace icrl
