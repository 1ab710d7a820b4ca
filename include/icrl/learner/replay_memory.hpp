// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/learner/learner.hpp>

namespace icrl {

/// What a replay memory keeps, and how it sums rewards.
struct ReplayConfig {
  int capacity = 10000;  ///< transitions; after that the oldest is overwritten
  int steps = 1;         ///< n of the n-step returns
  double discount = 0.99;
};

/// Throws Error for a value outside its range.
inline void validate(const ReplayConfig& config) {
  if (config.capacity < 1) fail("replay memory: capacity is {}, it must be at least 1", config.capacity);
  if (config.steps < 1 || config.steps > 1 << 20)
    fail("replay memory: steps is {}, it must lie in 1 .. 1048576", config.steps);
  if (!(config.discount >= 0 && config.discount <= 1))
    fail("replay memory: discount is {}, it must lie in [0, 1]", config.discount);
}

/// What replay learns from: an observation, what was done there, and the n steps that followed.
struct ReplayStep {
  std::span<const float> observation, next_observation;  ///< the next one follows after the last of the steps
  int action = 0;                                        ///< its id
  double reward = 0;                                     ///< r_0 + discount r_1 + ... of up to n steps
  double next_discount = 0;                      ///< of the next observation's value: discount^k, 0 after a termination
  std::span<const std::uint8_t> next_allowed{};  ///< empty = all
};

/// The latest transitions of a learner with Discrete actions, with n-step returns. A return ends with its episode: it
/// then has fewer steps.
class ReplayMemory {
public:
  /// Throws Error for an invalid configuration.
  ReplayMemory(const ReplayConfig& config, std::size_t observation_size) : config_{config}, width_{observation_size} {
    validate(config);
  }

  /// Adds a transition. It can be replayed once the n steps that begin with it are complete.
  void add(const Transition& transition) {
    pending_.push_back({.observation = {transition.observation.begin(), transition.observation.end()},
                        .action = static_cast<int>(transition.action[0]),
                        .reward = static_cast<double>(transition.reward)});
    if (pending_.size() == static_cast<std::size_t>(config_.steps)) store_first(transition);
    if (!transition.ends_episode()) return;
    while (!pending_.empty()) store_first(transition);
  }

  /// Steps that can be replayed now.
  [[nodiscard]] int size() const { return static_cast<int>(actions_.size()); }

  /// One of the stored steps, 0 .. size() - 1 in no particular order. Valid until the next add().
  [[nodiscard]] ReplayStep step(int number) const {
    ICRL_ASSERT(number >= 0 && number < size(), "replay memory: number must lie in 0 .. size() - 1");
    const auto i = static_cast<std::size_t>(number);
    return {.observation = std::span{observations_}.subspan(i * width_, width_),
            .next_observation = std::span{next_observations_}.subspan(i * width_, width_),
            .action = actions_[i],
            .reward = rewards_[i],
            .next_discount = next_discounts_[i],
            .next_allowed = next_allowed_[i]};
  }

private:
  struct Pending {
    std::vector<float> observation;
    int action;
    double reward;
  };

  /// Moves the oldest pending step into the ring; `last` is the latest transition.
  void store_first(const Transition& last) {
    double reward = 0, discount = 1;
    for (const Pending& step : pending_) {
      reward += discount * step.reward;
      discount *= config_.discount;
    }
    const Pending& first = pending_.front();
    if (actions_.size() < static_cast<std::size_t>(config_.capacity)) {
      actions_.emplace_back();
      rewards_.emplace_back();
      next_discounts_.emplace_back();
      next_allowed_.emplace_back();
      observations_.resize(observations_.size() + width_);
      next_observations_.resize(next_observations_.size() + width_);
    }
    std::ranges::copy(first.observation, observations_.begin() + static_cast<std::ptrdiff_t>(next_ * width_));
    std::ranges::copy(last.next_observation, next_observations_.begin() + static_cast<std::ptrdiff_t>(next_ * width_));
    actions_[next_] = first.action;
    rewards_[next_] = reward;
    next_discounts_[next_] = last.terminated ? 0 : discount;
    next_allowed_[next_].assign(last.next_allowed.begin(), last.next_allowed.end());
    next_ = (next_ + 1) % static_cast<std::size_t>(config_.capacity);
    pending_.pop_front();
  }

  ReplayConfig config_;
  std::size_t width_;
  std::deque<Pending> pending_;                          // at most n, of the current episode
  std::size_t next_ = 0;                                 // the place of the ring that is written next
  std::vector<float> observations_, next_observations_;  // (size, width)
  std::vector<int> actions_;
  std::vector<double> rewards_, next_discounts_;
  std::vector<std::vector<std::uint8_t>> next_allowed_;
};

}  // namespace icrl
