// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/space.hpp>
#include <icrl/learner/learner.hpp>
#include <icrl/learner/noise_schedule.hpp>
#include <icrl/learner/random_learner.hpp>
#include <icrl/learner/table_index.hpp>

namespace icrl {

/// How tabular Q-learning learns and explores.
struct QLearningConfig {
  double learning_rate = 0.9933;  ///< found by search in Sinii et al. (2024)
  double discount = 0.9;
  double epsilon_start = 1;   ///< probability of a random action in the first episode
  double epsilon_end = 0;     ///< the same after anneal_share of the episodes
  double anneal_share = 0.9;  ///< share of the episodes over which epsilon falls, in 0 .. 1
  int episodes = 200;         ///< of the whole history
  double initial_value = 0;   ///< of every Q value; a high one makes the learner try all actions
};

/// Throws Error for a value outside its range.
inline void validate(const QLearningConfig& config) {
  if (!(config.learning_rate > 0 && config.learning_rate <= 1))
    fail("Q-learning: learning_rate is {}, it must lie in (0, 1]", config.learning_rate);
  if (!(config.discount >= 0 && config.discount <= 1))
    fail("Q-learning: discount is {}, it must lie in [0, 1]", config.discount);
  if (!(std::abs(config.initial_value) <= std::numeric_limits<float>::max()))
    fail("Q-learning: initial_value is {}, it must be a finite float", config.initial_value);
}

/// Tabular Q-learning (Watkins & Dayan, 1992) with epsilon-greedy actions and random ties:
///   Q(o, a) += rate * (r + discount * max_a' Q(o', a') - Q(o, a)), where a' ranges over the actions that o' allows.
/// The value of the next observation counts after a truncation but not after a termination. If a time limit counted as
/// an end, it would lower the value of a goal each time an episode ends there.
class QLearning {
public:
  /// Observations must be ids and actions Discrete. Throws Error for other spaces and for a table that is too large for
  /// memory.
  QLearning(const QLearningConfig& config, const Space& observation_space, const Space& action_space)
      : config_{config},
        noise_{config.epsilon_start, config.epsilon_end, config.anneal_share, config.episodes},
        observation_space_{observation_space},
        index_{observation_space, "Q-learning"},
        epsilon_{noise_.at(0)} {
    validate(config);
    validate(noise_);
    if (!std::holds_alternative<Discrete>(action_space))
      fail("Q-learning: actions must be Discrete, not {}", to_short_string(action_space));
    validate(action_space, "Q-learning, actions");
    action_count_ = std::get<Discrete>(action_space).count;
    make_table();
  }

  /// Throws Error unless these are the spaces of the table.
  void check_spaces(const Space& observation_space, const Space& action_space) const {
    detail::check_observation_space(observation_space_, observation_space, "Q-learning");
    detail::check_action_space(Discrete{action_count_}, action_space, "Q-learning");
  }

  void act(std::span<const float> observation, std::span<float> action, Rng& rng) {
    const int chosen = rng.chance(epsilon_) ? rng.below(action_count_) : best(observation, {}, rng);
    action[0] = static_cast<float>(chosen);
  }
  /// An empty mask allows all.
  void act(std::span<const float> observation, std::span<const std::uint8_t> allowed, std::span<float> action,
           Rng& rng) {
    if (allowed.empty()) return act(observation, action, rng);
    const int chosen = rng.chance(epsilon_) ? random_allowed(allowed, rng) : best(observation, allowed, rng);
    action[0] = static_cast<float>(chosen);
  }

  void learn(const Transition& transition) {
    double target = static_cast<double>(transition.reward);
    if (!transition.terminated)
      target +=
          config_.discount * static_cast<double>(highest(values(transition.next_observation), transition.next_allowed));
    float& value = row(transition.observation)[static_cast<std::size_t>(transition.action[0])];
    value += static_cast<float>(config_.learning_rate * (target - static_cast<double>(value)));
    if (!std::isfinite(value))
      fail("Q-learning: a reward of {} makes the value of an action infinite (scale the rewards down)",
           transition.reward);
    if (transition.ends_episode()) epsilon_ = noise_.at(++episode_);
  }

  /// The Q values of all actions.
  [[nodiscard]] std::span<const float> values(std::span<const float> observation) const {
    return std::span{values_}.subspan(first_value(observation), static_cast<std::size_t>(action_count_));
  }
  /// Probability of a random action in this episode.
  [[nodiscard]] double epsilon() const { return epsilon_; }

private:
  void make_table() {
    const std::uint64_t rows = index_.row_count(), actions = static_cast<std::uint64_t>(action_count_);
    constexpr std::uint64_t most = std::uint64_t{1} << 32;
    const auto refuse = [&](std::string_view why) {
      fail(
          "Q-learning: a table of {} observations x {} actions takes {:.3g} GB, {} (does the observation contain "
          "ids that the task does not need?)",
          rows, actions, 4e-9 * static_cast<double>(rows) * static_cast<double>(actions), why);
    };
    if (rows > most / actions) refuse("more than the 17.2 GB a table may take");
    try {
      values_.assign(index_.row_count() * static_cast<std::size_t>(action_count_),
                     static_cast<float>(config_.initial_value));
    } catch (const std::bad_alloc&) {
      refuse("more than the system gives");
    }
  }

  [[nodiscard]] std::size_t first_value(std::span<const float> observation) const {
    return index_(observation) * static_cast<std::size_t>(action_count_);
  }
  [[nodiscard]] std::span<float> row(std::span<const float> observation) {
    return std::span{values_}.subspan(first_value(observation), static_cast<std::size_t>(action_count_));
  }

  /// A random one of the actions with the highest value. An empty mask allows all.
  [[nodiscard]] int best(std::span<const float> observation, std::span<const std::uint8_t> allowed, Rng& rng) const {
    const auto q = values(observation);
    const float most = highest(q, allowed);
    int ties = 0;
    for (std::size_t a = 0; a < q.size(); ++a) ties += is_allowed(allowed, a) && q[a] == most ? 1 : 0;
    int left = ties > 1 ? rng.below(ties) : 0;
    std::size_t a = 0;
    while (!is_allowed(allowed, a) || q[a] != most || left-- > 0) ++a;
    return static_cast<int>(a);
  }

  static bool is_allowed(std::span<const std::uint8_t> allowed, std::size_t action) {
    return allowed.empty() || allowed[action] != 0;
  }

  static float highest(std::span<const float> q, std::span<const std::uint8_t> allowed) {
    float most = -std::numeric_limits<float>::infinity();
    for (std::size_t a = 0; a < q.size(); ++a)
      if (is_allowed(allowed, a)) most = std::max(most, q[a]);
    if (std::isinf(most)) fail("Q-learning: none of the {} actions is allowed", q.size());
    return most;
  }

  QLearningConfig config_;
  NoiseSchedule noise_;
  Space observation_space_;
  TableIndex index_;
  int action_count_ = 0;
  std::vector<float> values_;  // (rows, actions)
  double epsilon_;
  int episode_ = 0;
};
static_assert(Learner<QLearning> && MaskedPolicy<QLearning> && ExpectsSpaces<QLearning>);

}  // namespace icrl
