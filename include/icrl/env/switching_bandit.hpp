// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>

#include <icrl/core/assert.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/bandit.hpp>
#include <icrl/env/environment.hpp>
#include <icrl/env/task_family.hpp>

namespace icrl {

/// What a family of switching bandits is made with.
struct SwitchingBanditOptions {
  int arms = 2;
  double good = 0.9, bad = 0.1;      ///< probability that the best arm pays 1, and that any other arm does
  double change_probability = 0.01;  ///< that after a pull another arm is the best one
  int change_after = 0;              ///< pulls after which another arm is surely the best one, once; 0 = never
  int task_count = 1'000'000;
  std::uint64_t seed = 0;  ///< of the best arms
};

/// Throws Error for a value outside its range.
inline void validate(const SwitchingBanditOptions& options) {
  constexpr const char* what = "switching bandits";
  detail::check_arm_count(options.arms, what);
  detail::check_probability(options.good, "good", what);
  detail::check_probability(options.bad, "bad", what);
  if (options.good < options.bad)
    fail("{}: good is {} and bad is {}, but the best arm must not pay less", what, options.good, options.bad);
  detail::check_probability(options.change_probability, "change_probability", what);
  if (options.change_after < 0) fail("{}: change_after is {}, it must not be negative", what, options.change_after);
  detail::check_task_count(options.task_count, what);
}

/// One arm pays more often than all others, and from time to time another one becomes the best. Time is counted in
/// pulls over the life of the object; `reset` does not begin it again, so make a new object for each run. Which arm is
/// the best at which pull depends on (seed, task) alone; the generator draws only rewards. The observation is always 0.
class SwitchingBandit {
public:
  /// Throws Error for an option outside its range.
  SwitchingBandit(const SwitchingBanditOptions& options, int task)
      : options_{options}, changes_{Rng{options.seed, 0x64726966}.fork(static_cast<std::uint64_t>(task))} {
    validate(options);
    best_arm_ = changes_.below(options.arms);
  }

  [[nodiscard]] Space observation_space() const { return Discrete{1}; }
  [[nodiscard]] Space action_space() const { return Discrete{options_.arms}; }

  void reset(Rng&) { order_.reset(); }
  StepResult step(int action, Rng& rng) {
    order_.pull(action, options_.arms);
    const bool pays = rng.chance(expected_reward({}, action));
    ++pulls_;
    const bool changes = changes_.chance(options_.change_probability);
    if (changes || pulls_ == options_.change_after)
      best_arm_ = (best_arm_ + 1 + changes_.below(options_.arms - 1)) % options_.arms;
    return {.reward = pays ? 1.0f : 0.0f, .terminated = true};
  }
  void observe(std::span<float> out) const { out[0] = 0; }

  [[nodiscard]] double expected_reward(std::span<const float>, int action) const {
    return action == best_arm_ ? options_.good : options_.bad;
  }
  /// The best arm at the next pull.
  [[nodiscard]] int best_arm() const { return best_arm_; }
  [[nodiscard]] const SwitchingBanditOptions& options() const { return options_; }

private:
  SwitchingBanditOptions options_;
  Rng changes_;
  int best_arm_ = 0;
  std::int64_t pulls_ = 0;
  detail::PullOrder order_;
};
static_assert(HasExpectedReward<SwitchingBandit>);

/// Switching bandits, which differ in the best arm at each pull.
class SwitchingBandits {
public:
  /// Throws Error for an option outside its range.
  explicit SwitchingBandits(const SwitchingBanditOptions& options = {}) : options_{options} { validate(options); }

  [[nodiscard]] int task_count() const { return options_.task_count; }
  [[nodiscard]] const SwitchingBanditOptions& options() const { return options_; }

  [[nodiscard]] SwitchingBandit make(int task) const {
    ICRL_ASSERT(task >= 0 && task < options_.task_count, "switching bandits: task must lie in 0 .. task_count() - 1");
    return {options_, task};
  }

  /// The exact return of a pull of the arm that is the best at that time.
  [[nodiscard]] double oracle_return(int) const { return options_.good; }
  /// The exact return of a pull of a uniformly random arm.
  [[nodiscard]] double random_return(int) const {
    return (options_.good + (options_.arms - 1) * options_.bad) / options_.arms;
  }

private:
  SwitchingBanditOptions options_;
};
static_assert(TaskFamily<SwitchingBandits> && HasOracleReturn<SwitchingBandits> && HasRandomReturn<SwitchingBandits>);

}  // namespace icrl
