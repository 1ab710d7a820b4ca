// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <concepts>
#include <limits>
#include <numeric>
#include <span>
#include <string_view>
#include <variant>

#include <icrl/core/assert.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/env/environment.hpp>
#include <icrl/env/space.hpp>

// What all bandits share. A bandit has no state that an action could change, so one pull is an episode of its own: it
// terminates. A learner that remembers across episodes then learns from pull to pull, and every curve over episodes is
// a curve over pulls.
namespace icrl {

/// An environment of one-step episodes that knows `expected_reward(observation, action)`: the mean reward of the action
/// at the next pull, given this episode's observation. It may depend on earlier actions, but on no random number:
/// copies that took the same actions return the same value.
template <typename E>
concept HasExpectedReward = Environment<E> && requires(const E& env, std::span<const float> observation, int action) {
  { env.expected_reward(observation, action) } -> std::same_as<double>;
};

/// The number of arms of a bandit, that is of actions. Throws Error if its action space is not Discrete.
template <HasExpectedReward E>
[[nodiscard]] int arm_count(const E& env) {
  const Space actions = env.action_space();
  const auto* const arms = std::get_if<Discrete>(&actions);
  if (arms == nullptr) fail("bandit: arms must be a discrete space, not {}", to_short_string(actions));
  return arms->count;
}

/// The expected reward of the best arm at the next pull.
template <HasExpectedReward E>
[[nodiscard]] double best_expected_reward(const E& env, std::span<const float> observation) {
  double best = -std::numeric_limits<double>::infinity();
  const int arms = arm_count(env);
  for (int arm = 0; arm < arms; ++arm) best = std::max(best, env.expected_reward(observation, arm));
  return best;
}

namespace detail {

/// Throws Error, which begins with `what`, unless there are two arms or more.
inline void check_arm_count(int arms, std::string_view what) {
  if (arms < 2 || arms > SpaceLimits::ids) fail("{}: arms is {}, it must lie in 2 .. {}", what, arms, SpaceLimits::ids);
}

/// The expected reward of a uniformly random arm.
[[nodiscard]] inline double mean_over_arms(std::span<const double> means) {
  return std::accumulate(means.begin(), means.end(), 0.0) / static_cast<double>(means.size());
}

/// Throws Error, which begins with `what`, unless there is a task.
inline void check_task_count(int tasks, std::string_view what) {
  if (tasks < 1) fail("{}: task_count is {}, it must be at least 1", what, tasks);
}

/// Throws Error, which begins with `what`, unless `value` is a probability.
inline void check_probability(double value, const char* name, std::string_view what) {
  if (!(value >= 0 && value <= 1)) fail("{}: {} is {}, it must lie in [0, 1]", what, name, value);
}

/// Throws Error, which begins with `what`, unless `value` lies in [0, 1e6].
inline void check_deviation(double value, const char* name, std::string_view what) {
  if (!(value >= 0 && value <= 1e6)) fail("{}: {} is {}, it must lie in [0, 1e6]", what, name, value);
}

/// Asserts the order of calls: reset, step, reset, step, ...
class PullOrder {
public:
  void reset() { is_pulled_ = false; }
  void pull([[maybe_unused]] int arm, [[maybe_unused]] int arms) {
    ICRL_ASSERT(arm >= 0 && arm < arms, "bandit: action must lie in 0 .. arms - 1");
    ICRL_ASSERT(!is_pulled_, "bandit: the episode is over, call reset()");
    is_pulled_ = true;
  }

private:
  bool is_pulled_ = false;
};

}  // namespace detail

}  // namespace icrl
