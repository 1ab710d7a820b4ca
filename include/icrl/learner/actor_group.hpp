// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <icrl/core/rng.hpp>
#include <icrl/learner/actor_critic.hpp>
#include <icrl/learner/advantages.hpp>
#include <icrl/learner/learner.hpp>
#include <icrl/learner/one_hot.hpp>

namespace icrl {

/// Actors in copies of one task that share a policy and a value function, and the steps that they have taken since the
/// last update: what A2C and PPO have in common. They differ in what they make of the steps.
class ActorGroup {
public:
  /// `rng` draws the initial weights. Errors begin with `what`. Throws Error for an invalid space.
  ActorGroup(std::string_view what, int actor_count, const std::vector<Index>& hidden, Activation activation,
             const Space& observation_space, const Space& action_space, Rng& rng)
      : what_{what},
        observation_space_{observation_space},
        action_space_{action_space},
        encoder_{observation_space, what_ + ", observations"},
        actions_{without_bounds(checked(action_space))},
        network_{mlp(hidden, activation, actions_.parameter_count()), mlp(hidden, activation, 1)},
        actors_(static_cast<std::size_t>(actor_count)) {
    find_units();
    network_.policy.initialize(rng, /*output_scale*/ 0.01);
    network_.value.initialize(rng);
  }

  [[nodiscard]] int member_count() const { return static_cast<int>(actors_.size()); }
  [[nodiscard]] const ActorCritic<float>& network() const { return network_; }
  [[nodiscard]] ActorCritic<float>& network() { return network_; }
  /// Reads the policy's outputs. Its Gaussian is in units in which finite bounds of a Box are -1 and 1, and not
  /// clipped.
  [[nodiscard]] const ActionDistribution& actions() const { return actions_; }

  /// Throws Error unless these are the spaces of the networks.
  void check_spaces(const Space& observation_space, const Space& action_space) const {
    detail::check_observation_space(observation_space_, observation_space, what_);
    detail::check_action_space(action_space_, action_space, what_);
  }

  /// Samples an action for each member of the group from the policy. The numbers of a Box are clipped to its bounds.
  void sample(const GroupObservations& group, std::span<float> actions, std::span<Rng> rngs) {
    const std::size_t rows = group.members.size(), observation_size = group.observations.size() / rows,
                      action_size = actions.size() / rows, mask_size = group.masks.size() / rows;
    act_features_.clear();
    for (std::size_t r = 0; r < rows; ++r)
      append(group.observations.subspan(r * observation_size, observation_size), act_features_);
    const auto x = rows_of(act_features_);
    reserve_rows(act_outputs_, x.rows(), network_.policy.output_size());
    network_.policy.forward(x, act_cache_, act_outputs_.topRows(x.rows()));
    for (std::size_t r = 0; r < rows; ++r) {
      const auto member = static_cast<std::size_t>(group.members[r]);
      const auto mask = group.masks.subspan(r * mask_size, mask_size);
      const std::span<const float> outputs{row_data(act_outputs_, static_cast<Index>(r)),
                                           static_cast<std::size_t>(act_outputs_.cols())};
      const auto action = actions.subspan(r * action_size, action_size);
      actions_.sample(outputs, Decoding{}, mask, rngs[member], action);
      actors_[member].mask.assign(mask.begin(), mask.end());
      if (const auto* box = std::get_if<Box>(&action_space_)) take_to_bounds(*box, action, actors_[member]);
    }
  }

  /// Stores the transition for the next update. If its action is this actor's sample after clipping, the policy learns
  /// from the sample before it: the density at a bound is not the probability of being clipped there.
  void store(int member, const Transition& transition) {
    Actor& actor = actors_[static_cast<std::size_t>(member)];
    actor.rows.push_back(steps_.size());
    steps_.push_back({.reward = static_cast<double>(transition.reward),
                      .terminated = transition.terminated,
                      .truncated = transition.truncated});
    append(transition.observation, features_);
    append(transition.next_observation, next_features_);
    const bool is_sampled = !actor.clipped.empty() && std::ranges::equal(transition.action, actor.clipped);
    for (std::size_t i = 0; i < transition.action.size(); ++i)
      taken_.push_back(is_sampled ? actor.sampled[i] : (transition.action[i] - center(i)) / half_width(i));
    masks_.insert(masks_.end(), actor.mask.begin(), actor.mask.end());
  }

  // ---- the steps since the last clear(), one row per transition in order of arrival ----
  /// T, the steps that are stored.
  [[nodiscard]] std::size_t step_count() const { return steps_.size(); }
  /// The one-hot observations of all steps, (T, features).
  [[nodiscard]] Eigen::Map<const Matrix<float>> features() const { return rows_of(features_); }
  [[nodiscard]] std::span<const float> taken() const { return taken_; }  ///< (T, action size), in units of `actions`
  [[nodiscard]] std::span<const std::uint8_t> masks() const { return masks_; }     ///< (T, action count) or empty
  [[nodiscard]] std::span<const float> advantages() const { return advantages_; }  ///< (T), of the last estimate
  [[nodiscard]] std::span<const float> returns() const { return returns_; }        ///< (T), of the last estimate

  /// Computes advantages and returns of all steps (see generalized_advantages). `values` (T, 1) are the network's for
  /// features(). The value of the next observation counts after a truncation but not after a termination.
  void estimate_advantages(const Matrix<float>& values, double discount, double lambda) {
    const auto next_x = rows_of(next_features_);
    reserve_rows(next_values_, next_x.rows(), Index{1});
    network_.value.forward(next_x, next_cache_, next_values_.topRows(next_x.rows()));
    advantages_.resize(steps_.size());
    returns_.resize(steps_.size());
    for (const Actor& actor : actors_) {
      actor_steps_.clear();
      for (const std::size_t row : actor.rows) {
        ValuedStep step = steps_[row];
        step.value = static_cast<double>(values(static_cast<Index>(row), 0));
        step.next_value = static_cast<double>(next_values_(static_cast<Index>(row), 0));
        actor_steps_.push_back(step);
      }
      actor_advantages_.resize(actor_steps_.size());
      generalized_advantages(actor_steps_, discount, lambda, actor_advantages_);
      for (std::size_t t = 0; t < actor.rows.size(); ++t) {
        advantages_[actor.rows[t]] = static_cast<float>(actor_advantages_[t]);
        returns_[actor.rows[t]] = static_cast<float>(actor_advantages_[t] + actor_steps_[t].value);
      }
    }
  }

  /// Forgets all steps.
  void clear() {
    for (Actor& actor : actors_) actor.rows.clear();
    steps_.clear();
    features_.clear();
    next_features_.clear();
    taken_.clear();
    masks_.clear();
  }

private:
  struct Actor {
    std::vector<std::size_t> rows;   // rows that belong to this actor, in order
    std::vector<std::uint8_t> mask;  // the mask when this actor last acted
    std::vector<float> sampled;      // of a Box, what it last sampled, in units of the policy
    std::vector<float> clipped;      // and the action that came of it
  };

  [[nodiscard]] static Space without_bounds(const Space& action_space) {
    const auto* box = std::get_if<Box>(&action_space);
    if (box == nullptr) return action_space;
    constexpr float infinity = std::numeric_limits<float>::infinity();
    return Box{std::vector<float>(box->low.size(), -infinity), std::vector<float>(box->low.size(), infinity)};
  }
  // What the policy's units stand for: 0 for the center of a number of a Box, 1 for half its width, if that is finite.
  [[nodiscard]] float center(std::size_t i) const { return centers_.empty() ? 0 : centers_[i]; }
  [[nodiscard]] float half_width(std::size_t i) const { return half_widths_.empty() ? 1 : half_widths_[i]; }
  void find_units() {
    const auto* box = std::get_if<Box>(&action_space_);
    for (std::size_t i = 0; box != nullptr && i < box->low.size(); ++i) {
      const float half = box->high[i] / 2 - box->low[i] / 2;
      const bool has_units = std::isfinite(half) && half > 0;
      centers_.push_back(has_units ? box->low[i] + half : 0);
      half_widths_.push_back(has_units ? half : 1);
    }
  }
  void take_to_bounds(const Box& bounds, std::span<float> action, Actor& actor) const {
    actor.sampled.assign(action.begin(), action.end());
    for (std::size_t i = 0; i < action.size(); ++i)
      action[i] = std::clamp(center(i) + half_width(i) * action[i], bounds.low[i], bounds.high[i]);
    actor.clipped.assign(action.begin(), action.end());
  }

  [[nodiscard]] const Space& checked(const Space& action_space) const {
    icrl::validate(action_space, what_ + ", actions");
    return action_space;
  }
  [[nodiscard]] Mlp<float> mlp(const std::vector<Index>& hidden, Activation activation, int output_size) const {
    std::vector<Index> sizes{static_cast<Index>(encoder_.size())};
    sizes.insert(sizes.end(), hidden.begin(), hidden.end());
    sizes.push_back(output_size);
    return Mlp<float>{sizes, activation};
  }
  void append(std::span<const float> observation, std::vector<float>& features) const {
    features.resize(features.size() + encoder_.size());
    encoder_.write(observation, std::span{features}.last(encoder_.size()));
  }
  [[nodiscard]] Eigen::Map<const Matrix<float>> rows_of(const std::vector<float>& features) const {
    const auto width = static_cast<Index>(encoder_.size());
    return {features.data(), static_cast<Index>(features.size()) / width, width};
  }

  std::string what_;
  Space observation_space_, action_space_;
  std::vector<float> centers_, half_widths_;  // of a Box's numbers
  OneHot encoder_;
  ActionDistribution actions_;
  ActorCritic<float> network_;

  std::vector<Actor> actors_;
  std::vector<ValuedStep> steps_;
  std::vector<float> features_, next_features_, taken_, advantages_, returns_;
  std::vector<std::uint8_t> masks_;

  // Buffers that are used only within one call.
  std::vector<float> act_features_;
  Mlp<float>::Cache act_cache_, next_cache_;
  Matrix<float> act_outputs_, next_values_;
  std::vector<ValuedStep> actor_steps_;
  std::vector<double> actor_advantages_;
};

}  // namespace icrl
