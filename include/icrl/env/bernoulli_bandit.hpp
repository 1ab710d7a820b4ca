// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/bandit.hpp>
#include <icrl/env/environment.hpp>
#include <icrl/env/task_family.hpp>

namespace icrl {

/// Arms that pay 1 with a probability of their own, and otherwise 0. The observation is always 0.
class BernoulliBandit {
public:
  /// Throws Error for fewer than two arms, or a mean that is not a probability.
  explicit BernoulliBandit(std::vector<double> means) : means_{std::move(means)} {
    detail::check_arm_count(static_cast<int>(std::min<std::size_t>(means_.size(), 1 << 30)), "bernoulli bandit");
    for (const double mean : means_) detail::check_probability(mean, "a mean", "bernoulli bandit");
  }

  [[nodiscard]] Space observation_space() const { return Discrete{1}; }
  [[nodiscard]] Space action_space() const { return Discrete{static_cast<int>(means_.size())}; }

  void reset(Rng&) { order_.reset(); }
  StepResult step(int action, Rng& rng) {
    order_.pull(action, static_cast<int>(means_.size()));
    return {.reward = rng.chance(means_[static_cast<std::size_t>(action)]) ? 1.0f : 0.0f, .terminated = true};
  }
  void observe(std::span<float> out) const { out[0] = 0; }

  [[nodiscard]] double expected_reward(std::span<const float>, int action) const {
    return means_[static_cast<std::size_t>(action)];
  }
  [[nodiscard]] const std::vector<double>& means() const& { return means_; }
  [[nodiscard]] std::vector<double> means() const&& { return means_; }

private:
  std::vector<double> means_;  // (arms)
  detail::PullOrder order_;
};
static_assert(HasExpectedReward<BernoulliBandit>);

/// What a family of Bernoulli bandits is made with.
struct BernoulliBanditOptions {
  int arms = 10;
  int task_count = 1'000'000;
  std::uint64_t seed = 0;  ///< of the means
};

/// Throws Error for a value outside its range.
inline void validate(const BernoulliBanditOptions& options) {
  detail::check_arm_count(options.arms, "bernoulli bandits");
  detail::check_task_count(options.task_count, "bernoulli bandits");
}

/// Bandits whose means are drawn uniformly from [0, 1], each from (seed, task).
class BernoulliBandits {
public:
  /// Throws Error for an option outside its range.
  explicit BernoulliBandits(const BernoulliBanditOptions& options = {}) : options_{options} { validate(options); }

  [[nodiscard]] int task_count() const { return options_.task_count; }
  [[nodiscard]] const BernoulliBanditOptions& options() const { return options_; }

  [[nodiscard]] BernoulliBandit make(int task) const {
    ICRL_ASSERT(task >= 0 && task < options_.task_count, "bernoulli bandits: task must lie in 0 .. task_count() - 1");
    Rng rng = Rng{options_.seed, 0x6265726e}.fork(static_cast<std::uint64_t>(task));
    std::vector<double> means(static_cast<std::size_t>(options_.arms));
    for (double& mean : means) mean = rng.uniform();
    return BernoulliBandit{std::move(means)};
  }

  /// The exact return of a pull of the best arm.
  [[nodiscard]] double oracle_return(int task) const { return std::ranges::max(make(task).means()); }
  /// The exact return of a pull of a uniformly random arm.
  [[nodiscard]] double random_return(int task) const { return detail::mean_over_arms(make(task).means()); }

private:
  BernoulliBanditOptions options_;
};
static_assert(TaskFamily<BernoulliBandits> && HasOracleReturn<BernoulliBandits> && HasRandomReturn<BernoulliBandits>);

}  // namespace icrl
