// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/bandit.hpp>
#include <icrl/env/environment.hpp>
#include <icrl/env/task_family.hpp>

namespace icrl {

/// Arms that pay their mean plus normal noise. The observation is always 0.
class GaussianBandit {
public:
  /// `reward_stddev` is the standard deviation of a reward around its mean. Throws Error for fewer than two arms, or
  /// numbers outside of what is allowed: means within [-1e30, 1e30], reward_stddev in [0, 1e6].
  GaussianBandit(std::vector<double> means, double reward_stddev)
      : means_{std::move(means)}, reward_stddev_{reward_stddev} {
    detail::check_arm_count(static_cast<int>(std::min<std::size_t>(means_.size(), 1 << 30)), "gaussian bandit");
    detail::check_deviation(reward_stddev, "reward_stddev", "gaussian bandit");
    for (const double mean : means_)
      if (!(std::abs(mean) <= 1e30)) fail("gaussian bandit: a mean is {}, it must lie in [-1e30, 1e30]", mean);
  }

  [[nodiscard]] Space observation_space() const { return Discrete{1}; }
  [[nodiscard]] Space action_space() const { return Discrete{static_cast<int>(means_.size())}; }

  void reset(Rng&) { order_.reset(); }
  StepResult step(int action, Rng& rng) {
    order_.pull(action, static_cast<int>(means_.size()));
    const double reward = means_[static_cast<std::size_t>(action)] + reward_stddev_ * rng.normal();
    return {.reward = static_cast<float>(reward), .terminated = true};
  }
  void observe(std::span<float> out) const { out[0] = 0; }

  [[nodiscard]] double expected_reward(std::span<const float>, int action) const {
    return means_[static_cast<std::size_t>(action)];
  }
  [[nodiscard]] const std::vector<double>& means() const& { return means_; }
  [[nodiscard]] std::vector<double> means() const&& { return means_; }
  /// Standard deviation of a reward around its arm's mean.
  [[nodiscard]] double reward_stddev() const { return reward_stddev_; }

private:
  std::vector<double> means_;  // (arms)
  double reward_stddev_;
  detail::PullOrder order_;
};
static_assert(HasExpectedReward<GaussianBandit>);

/// What a family of Gaussian bandits is made with.
struct GaussianBanditOptions {
  int arms = 10;
  double mean_stddev = 1;    ///< standard deviation of the arms' means, which are normal around 0
  double reward_stddev = 1;  ///< standard deviation of a reward around its mean
  int task_count = 1'000'000;
  std::uint64_t seed = 0;  ///< of the means
};

/// Throws Error for a value outside its range.
inline void validate(const GaussianBanditOptions& options) {
  detail::check_arm_count(options.arms, "gaussian bandits");
  detail::check_deviation(options.mean_stddev, "mean_stddev", "gaussian bandits");
  detail::check_deviation(options.reward_stddev, "reward_stddev", "gaussian bandits");
  detail::check_task_count(options.task_count, "gaussian bandits");
}

/// Bandits with normal means and normal noise, each drawn from (seed, task).
class GaussianBandits {
public:
  /// Throws Error for an option outside its range.
  explicit GaussianBandits(const GaussianBanditOptions& options = {}) : options_{options} { validate(options); }

  [[nodiscard]] int task_count() const { return options_.task_count; }
  [[nodiscard]] const GaussianBanditOptions& options() const { return options_; }

  [[nodiscard]] GaussianBandit make(int task) const {
    ICRL_ASSERT(task >= 0 && task < options_.task_count, "gaussian bandits: task must lie in 0 .. task_count() - 1");
    Rng rng = Rng{options_.seed, 0x67617573}.fork(static_cast<std::uint64_t>(task));
    std::vector<double> means(static_cast<std::size_t>(options_.arms));
    for (double& mean : means) mean = options_.mean_stddev * rng.normal();
    return {std::move(means), options_.reward_stddev};
  }

  /// The exact return of a pull of the best arm. It may be negative.
  [[nodiscard]] double oracle_return(int task) const { return std::ranges::max(make(task).means()); }
  /// The exact return of a pull of a uniformly random arm.
  [[nodiscard]] double random_return(int task) const { return detail::mean_over_arms(make(task).means()); }

private:
  GaussianBanditOptions options_;
};
static_assert(TaskFamily<GaussianBandits> && HasOracleReturn<GaussianBandits> && HasRandomReturn<GaussianBandits>);

}  // namespace icrl
