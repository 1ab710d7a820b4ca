// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
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

/// What a family of linear bandits is made with.
struct LinearBanditOptions {
  int features = 5;  ///< d, numbers of a context
  int arms = 10;     ///< K
  /// Standard deviation of an arm's expected reward over contexts and tasks: its d weights are normal around 0 with
  /// standard deviation weight_stddev / sqrt(d).
  double weight_stddev = 1;
  double reward_stddev = 0.3;  ///< standard deviation of a reward around its mean
  int task_count = 1'000'000;
  std::uint64_t seed = 0;  ///< of the weights
};

/// Throws Error for a value outside its range.
inline void validate(const LinearBanditOptions& options) {
  constexpr const char* what = "linear bandits";
  if (options.features < 1 || options.features > SpaceLimits::components)
    fail("{}: features is {}, it must lie in 1 .. {}", what, options.features, SpaceLimits::components);
  detail::check_arm_count(options.arms, what);
  constexpr std::int64_t max_weights = 1 << 28;
  if (std::int64_t{options.features} * options.arms > max_weights)
    fail("{}: {} arms of {} features are too many, at most {} weights are allowed", what, options.arms,
         options.features, max_weights);
  detail::check_deviation(options.weight_stddev, "weight_stddev", what);
  detail::check_deviation(options.reward_stddev, "reward_stddev", what);
  detail::check_task_count(options.task_count, what);
}

/// A contextual bandit: each pull shows a context of d standard normal numbers, drawn from the generator at reset, and
/// an arm pays the product of its hidden weights and the context, plus normal noise (Li et al., 2010, disjoint models).
class LinearBandit {
public:
  /// `weights` (arms, features), one arm after the other. Throws Error if their number is wrong or one lies outside
  /// [-1e30, 1e30].
  LinearBandit(const LinearBanditOptions& options, std::vector<double> weights)
      : options_{options}, weights_{std::move(weights)}, context_(static_cast<std::size_t>(options.features)) {
    validate(options);
    const auto wanted = static_cast<std::size_t>(options.arms) * context_.size();
    if (weights_.size() != wanted)
      fail("linear bandit: there are {} weights, {} arms of {} features need {}", weights_.size(), options.arms,
           options.features, wanted);
    for (const double weight : weights_)
      if (!(std::abs(weight) <= 1e30)) fail("linear bandit: a weight is {}, it must lie in [-1e30, 1e30]", weight);
  }

  [[nodiscard]] Space observation_space() const {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    return Box{std::vector<float>(context_.size(), -infinity), std::vector<float>(context_.size(), infinity)};
  }
  [[nodiscard]] Space action_space() const { return Discrete{options_.arms}; }

  void reset(Rng& rng) {
    order_.reset();
    for (float& number : context_) number = static_cast<float>(rng.normal());
  }
  StepResult step(int action, Rng& rng) {
    order_.pull(action, options_.arms);
    const double reward = expected_reward(context_, action) + options_.reward_stddev * rng.normal();
    return {.reward = static_cast<float>(reward), .terminated = true};
  }
  void observe(std::span<float> out) const { std::ranges::copy(context_, out.begin()); }

  /// The product of the arm's weights and the context, which is the observation.
  [[nodiscard]] double expected_reward(std::span<const float> observation, int action) const {
    ICRL_ASSERT(observation.size() == context_.size(), "linear bandit: an observation must have `features` numbers");
    const double* const weights = weights_.data() + static_cast<std::size_t>(action) * context_.size();
    double product = 0;
    for (std::size_t i = 0; i < context_.size(); ++i) product += weights[i] * static_cast<double>(observation[i]);
    return product;
  }
  /// The weights (arms, features), one arm after another; the agent does not see them.
  [[nodiscard]] const std::vector<double>& weights() const& { return weights_; }
  /// A copy, because this bandit is a temporary object.
  [[nodiscard]] std::vector<double> weights() const&& { return weights_; }
  [[nodiscard]] const LinearBanditOptions& options() const { return options_; }

private:
  LinearBanditOptions options_;
  std::vector<double> weights_;  // (arms, features)
  std::vector<float> context_;   // (features)
  detail::PullOrder order_;
};
static_assert(HasExpectedReward<LinearBandit>);

/// Contextual linear bandits, whose weights are drawn from (seed, task).
class LinearBandits {
public:
  /// Throws Error for an option outside its range.
  explicit LinearBandits(const LinearBanditOptions& options = {}) : options_{options} { validate(options); }

  [[nodiscard]] int task_count() const { return options_.task_count; }
  [[nodiscard]] const LinearBanditOptions& options() const { return options_; }

  [[nodiscard]] LinearBandit make(int task) const {
    ICRL_ASSERT(task >= 0 && task < options_.task_count, "linear bandits: task must lie in 0 .. task_count() - 1");
    Rng rng = Rng{options_.seed, 0x6c696e65}.fork(static_cast<std::uint64_t>(task));
    const double deviation = options_.weight_stddev / std::sqrt(options_.features);
    std::vector<double> weights(static_cast<std::size_t>(options_.arms) * static_cast<std::size_t>(options_.features));
    for (double& weight : weights) weight = deviation * rng.normal();
    return {options_, std::move(weights)};
  }

  /// The mean return of a pull of the best arm over 65536 random contexts, the same ones for every task. Its standard
  /// error is that of one pull divided by 256: about 0.003 weight_stddev.
  [[nodiscard]] double oracle_return(int task) const {
    constexpr int contexts = 65536;
    LinearBandit bandit = make(task);
    std::vector<float> context(static_cast<std::size_t>(options_.features));
    Rng rng{options_.seed, 0x636f6e74};
    double total = 0;
    for (int i = 0; i < contexts; ++i) {
      bandit.reset(rng);
      bandit.observe(context);
      total += best_expected_reward(bandit, context);
    }
    return total / contexts;
  }
  /// The exact return of a pull of a uniformly random arm: contexts have mean 0.
  [[nodiscard]] double random_return(int) const { return 0; }

private:
  LinearBanditOptions options_;
};
static_assert(TaskFamily<LinearBandits> && HasOracleReturn<LinearBandits> && HasRandomReturn<LinearBandits>);

}  // namespace icrl
