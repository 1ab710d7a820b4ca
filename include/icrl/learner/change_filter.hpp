// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/space.hpp>
#include <icrl/env/switching_bandit.hpp>
#include <icrl/learner/learner.hpp>

namespace icrl {

/// Knows how a SwitchingBandit changes, but not which arm is the best one. It keeps the exact posterior probability
/// that each arm is the best, updated by Bayes' rule after each reward and then by the chance of a change, and pulls
/// the most probable arm, a random one of equal arms. As a source it shows how a change is found.
class ChangeFilter {
public:
  /// Changes come with the options' change_probability; change_after is not known to it. Throws Error for an option
  /// outside its range.
  explicit ChangeFilter(const SwitchingBanditOptions& options) : options_{options} {
    validate(options);
    belief_.assign(static_cast<std::size_t>(options.arms), 1.0 / options.arms);
  }

  void act(std::span<const float>, std::span<float> action, Rng& rng) {
    int best = 0, ties = 1;
    for (int arm = 1; arm < options_.arms; ++arm) {
      const double more = belief(arm) - belief(best);
      if (more < -tie) continue;
      ties = more > tie ? 1 : ties + 1;
      if (ties == 1 || rng.below(ties) == 0) best = arm;
    }
    action[0] = static_cast<float>(best);
  }

  void learn(const Transition& transition) {
    const auto pulled = static_cast<std::size_t>(transition.action[0]);
    const bool paid = transition.reward > 0;
    const auto likelihood = [&](double mean) { return paid ? mean : 1 - mean; };
    double total = 0;
    for (std::size_t arm = 0; arm < belief_.size(); ++arm) {
      belief_[arm] *= likelihood(arm == pulled ? options_.good : options_.bad);
      total += belief_[arm];
    }
    const double change = options_.change_probability, others = options_.arms - 1;
    for (double& probability : belief_) {
      // What cannot happen by the options leaves all arms equally likely.
      probability = total > 0 ? probability / total : 1.0 / options_.arms;
      probability = probability * (1 - change) + (1 - probability) * change / others;
    }
  }

  /// Throws Error unless actions are its arms.
  void check_spaces(const Space&, const Space& action_space) const {
    detail::check_action_space(Discrete{options_.arms}, action_space, "change filter");
  }

  /// The probability that this arm is the best one at the next pull.
  [[nodiscard]] double belief(int arm) const { return belief_[static_cast<std::size_t>(arm)]; }

private:
  static constexpr double tie = 1e-12;  // more than what rounding makes of equal probabilities

  SwitchingBanditOptions options_;
  std::vector<double> belief_;  // (arms)
};
static_assert(Learner<ChangeFilter> && ExpectsSpaces<ChangeFilter>);

}  // namespace icrl
