// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/bandit.hpp>
#include <icrl/env/bernoulli_bandit.hpp>
#include <icrl/env/task_family.hpp>

namespace icrl {

/// What a family of odd-even bandits is made with.
struct OddEvenBanditOptions {
  int arms = 10;
  double odd_share = 0.95;  ///< share of the tasks in which the odd arms are the good ones
  int task_count = 1'000'000;
  std::uint64_t seed = 0;  ///< of the means
};

/// Throws Error for a value outside its range.
inline void validate(const OddEvenBanditOptions& options) {
  detail::check_arm_count(options.arms, "odd-even bandits");
  detail::check_probability(options.odd_share, "odd_share", "odd-even bandits");
  detail::check_task_count(options.task_count, "odd-even bandits");
}

/// Bernoulli bandits in which every other arm is good: the adversarial bandit of Laskin et al. (2022), which is trained
/// on with an odd_share of 0.95 and tested with 0.05: a model that has learned where good arms lie, not how to learn,
/// does badly there. Good arms have means that are uniform in [0.5, 1], the others in [0, 0.5] (Sinii et al., 2024;
/// Laskin et al. do not say). Arms are numbered from 0. Means depend on (seed, task); odd_share decides only which arms
/// are good.
class OddEvenBandits {
public:
  /// Throws Error for an option outside its range.
  explicit OddEvenBandits(const OddEvenBanditOptions& options = {}) : options_{options} { validate(options); }

  [[nodiscard]] int task_count() const { return options_.task_count; }
  [[nodiscard]] const OddEvenBanditOptions& options() const { return options_; }

  [[nodiscard]] BernoulliBandit make(int task) const {
    ICRL_ASSERT(task >= 0 && task < options_.task_count, "odd-even bandits: task must lie in 0 .. task_count() - 1");
    Rng rng = Rng{options_.seed, 0x6f646465}.fork(static_cast<std::uint64_t>(task));
    const std::size_t good = rng.chance(options_.odd_share) ? 1 : 0;
    std::vector<double> means(static_cast<std::size_t>(options_.arms));
    for (std::size_t arm = 0; arm < means.size(); ++arm) means[arm] = (rng.uniform() + (arm % 2 == good ? 1 : 0)) / 2;
    return BernoulliBandit{std::move(means)};
  }

  /// The exact return of a pull of the best arm.
  [[nodiscard]] double oracle_return(int task) const { return std::ranges::max(make(task).means()); }
  /// The exact return of a pull of a uniformly random arm.
  [[nodiscard]] double random_return(int task) const { return detail::mean_over_arms(make(task).means()); }

private:
  OddEvenBanditOptions options_;
};
static_assert(TaskFamily<OddEvenBandits> && HasOracleReturn<OddEvenBandits> && HasRandomReturn<OddEvenBandits>);

}  // namespace icrl
