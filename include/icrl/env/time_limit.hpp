// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/environment.hpp>

namespace icrl {

/// Truncates the episodes of an environment after a number of steps, if they have not ended before. Spaces,
/// observations and masks are those of the wrapped environment.
template <Environment E>
class TimeLimit {
public:
  /// Throws Error unless step_limit >= 1.
  TimeLimit(E env, int step_limit) : env_{std::move(env)}, step_limit_{step_limit} {
    if (step_limit < 1) fail("time limit: step_limit is {}, it must be at least 1", step_limit);
  }

  [[nodiscard]] Space observation_space() const { return env_.observation_space(); }
  [[nodiscard]] Space action_space() const { return env_.action_space(); }

  void reset(Rng& rng) {
    env_.reset(rng);
    time_ = 0;
  }
  void observe(std::span<float> out) const { env_.observe(out); }

  StepResult step(int action, Rng& rng) requires StepsById<E> { return limited(env_.step(action, rng)); }
  StepResult step(std::span<const float> action, Rng& rng) requires StepsByValues<E> {
    return limited(env_.step(action, rng));
  }

  void action_mask(std::span<std::uint8_t> allowed) const requires HasActionMask<E> { env_.action_mask(allowed); }

  /// The wrapped environment.
  [[nodiscard]] const E& inner() const { return env_; }

private:
  StepResult limited(StepResult result) {
    if (++time_ >= step_limit_ && !result.terminated) result.truncated = true;
    return result;
  }

  E env_;
  int step_limit_;
  int time_ = 0;
};

}  // namespace icrl
