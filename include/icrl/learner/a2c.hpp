// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/learner/actor_critic.hpp>
#include <icrl/learner/advantages.hpp>
#include <icrl/learner/learner.hpp>
#include <icrl/learner/one_hot.hpp>
#include <icrl/nn/adamw.hpp>

namespace icrl {

struct A2CConfig {
  int actor_count = 16;           ///< number of actors, each in its own environment
  int rollout_length = 5;         ///< steps per actor between two updates
  std::vector<Index> hidden{64};  ///< sizes of the hidden layers of both networks
  Activation activation = Activation::tanh;
  double discount = 0.99;
  double lambda = 0.95;  ///< for the advantages: 1 gives n-step returns, 0 gives one-step errors
  double entropy_weight = 0.01;
  double value_weight = 0.5;
  AdamWConfig optimizer{.learning_rate = 3e-3, .max_gradient_norm = 0.5};
};

/// Throws Error, which names the first value outside its range.
inline void validate(const A2CConfig& config) {
  const auto check = [](const char* name, double value, double low, double high) {
    if (!(value >= low && value <= high)) fail("A2C: {} is {}, it must lie in {} .. {}", name, value, low, high);
  };
  check("actor_count", config.actor_count, 1, 1 << 20);
  check("rollout_length", config.rollout_length, 1, 1 << 20);
  check("discount", config.discount, 0, 1);
  check("lambda", config.lambda, 0, 1);
  check("entropy_weight", config.entropy_weight, 0, 1e6);
  check("value_weight", config.value_weight, 0, 1e6);
}

/// Synchronous advantage actor-critic (Mnih et al., 2016). Actors in copies of one task share a policy and a value
/// function. Every `rollout_length` steps, both take one step along the gradient of all actors' transitions. The value
/// of the next observation counts after a truncation but not after a termination.
///
/// The members of the group are the actors. Their behavior depends only on the spaces, the configuration and the
/// generators.
class A2C {
public:
  static constexpr bool shares_weights = true;

  /// `rng` draws the initial weights. Throws Error for an invalid configuration or space.
  A2C(const A2CConfig& config, const Space& observation_space, const Space& action_space, Rng& rng)
      : config_{checked(config)},
        observation_space_{observation_space},
        action_space_{action_space},
        encoder_{observation_space, "A2C, observations"},
        actions_{checked(action_space)},
        network_{mlp(actions_.parameter_count()), mlp(1)},
        gradient_{network_},
        optimizer_{network_, config.optimizer},
        actors_(static_cast<std::size_t>(config.actor_count)) {
    network_.policy.initialize(rng, /*output_scale*/ 0.01);
    network_.value.initialize(rng);
  }

  [[nodiscard]] int member_count() const { return config_.actor_count; }

  /// Throws Error unless these are the spaces of the networks.
  void check_spaces(const Space& observation_space, const Space& action_space) const {
    detail::check_observation_space(observation_space_, observation_space, "A2C");
    detail::check_action_space(action_space_, action_space, "A2C");
  }

  /// Learns if a rollout is full, then samples an action for each member from the policy.
  void act(const GroupObservations& group, std::span<float> actions, std::span<Rng> rngs) {
    if (group.members.empty()) return;
    if (act_count_ == config_.rollout_length) update();
    ++act_count_;
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
      actions_.sample(outputs, Decoding{}, mask, rngs[member], actions.subspan(r * action_size, action_size));
      actors_[member].mask.assign(mask.begin(), mask.end());
    }
  }

  /// Stores the transition for the next update.
  void learn(int member, const Transition& transition) {
    Actor& actor = actors_[static_cast<std::size_t>(member)];
    actor.rows.push_back(steps_.size());
    steps_.push_back({.reward = static_cast<double>(transition.reward),
                      .terminated = transition.terminated,
                      .truncated = transition.truncated});
    append(transition.observation, features_);
    append(transition.next_observation, next_features_);
    taken_.insert(taken_.end(), transition.action.begin(), transition.action.end());
    masks_.insert(masks_.end(), actor.mask.begin(), actor.mask.end());
  }

  [[nodiscard]] const ActorCritic<float>& network() const { return network_; }
  [[nodiscard]] int update_count() const { return optimizer_.step_count(); }
  /// The loss of the last update.
  [[nodiscard]] const ActorCriticLoss& loss() const { return loss_; }

private:
  struct Actor {
    std::vector<std::size_t> rows;   // rows of the rollout that belong to this actor, in order
    std::vector<std::uint8_t> mask;  // the mask when this actor last acted
  };

  static const A2CConfig& checked(const A2CConfig& config) {
    validate(config);
    return config;
  }
  static const Space& checked(const Space& action_space) {
    icrl::validate(action_space, "A2C, actions");
    return action_space;
  }

  [[nodiscard]] Mlp<float> mlp(int output_size) const {
    std::vector<Index> sizes{static_cast<Index>(encoder_.size())};
    sizes.insert(sizes.end(), config_.hidden.begin(), config_.hidden.end());
    sizes.push_back(output_size);
    return Mlp<float>{sizes, config_.activation};
  }

  void append(std::span<const float> observation, std::vector<float>& features) const {
    features.resize(features.size() + encoder_.size());
    encoder_.write(observation, std::span{features}.last(encoder_.size()));
  }
  [[nodiscard]] Eigen::Map<const Matrix<float>> rows_of(const std::vector<float>& features) const {
    const auto width = static_cast<Index>(encoder_.size());
    return {features.data(), static_cast<Index>(features.size()) / width, width};
  }

  void update() {
    act_count_ = 0;
    if (steps_.empty()) return;
    const auto x = rows_of(features_);
    network_.forward(x, cache_);
    estimate_advantages();
    set_zero(gradient_);
    loss_ = network_.backward(x, actions_,
                              {.actions = taken_,
                               .masks = masks_,
                               .advantages = advantages_,
                               .returns = returns_,
                               .entropy_weight = config_.entropy_weight,
                               .value_weight = config_.value_weight},
                              cache_, gradient_);
    (void)optimizer_.step(network_, gradient_);
    for (Actor& actor : actors_) actor.rows.clear();
    steps_.clear();
    features_.clear();
    next_features_.clear();
    taken_.clear();
    masks_.clear();
  }

  /// Advantages and returns of all actors' steps, from the current values of the network.
  void estimate_advantages() {
    const auto next_x = rows_of(next_features_);
    reserve_rows(next_values_, next_x.rows(), Index{1});
    network_.value.forward(next_x, next_cache_, next_values_.topRows(next_x.rows()));
    advantages_.resize(steps_.size());
    returns_.resize(steps_.size());
    for (const Actor& actor : actors_) {
      actor_steps_.clear();
      for (const std::size_t row : actor.rows) {
        ValuedStep step = steps_[row];
        step.value = static_cast<double>(cache_.values(static_cast<Index>(row), 0));
        step.next_value = static_cast<double>(next_values_(static_cast<Index>(row), 0));
        actor_steps_.push_back(step);
      }
      actor_advantages_.resize(actor_steps_.size());
      generalized_advantages(actor_steps_, config_.discount, config_.lambda, actor_advantages_);
      for (std::size_t t = 0; t < actor.rows.size(); ++t) {
        advantages_[actor.rows[t]] = static_cast<float>(actor_advantages_[t]);
        returns_[actor.rows[t]] = static_cast<float>(actor_advantages_[t] + actor_steps_[t].value);
      }
    }
  }

  A2CConfig config_;
  Space observation_space_, action_space_;
  OneHot encoder_;
  ActionDistribution actions_;
  ActorCritic<float> network_, gradient_;
  AdamW<ActorCritic<float>> optimizer_;
  ActorCriticLoss loss_;
  int act_count_ = 0;  // number of calls of act since the last update

  // The rollout, one row per transition in order of arrival.
  std::vector<Actor> actors_;
  std::vector<ValuedStep> steps_;
  std::vector<float> features_, next_features_, taken_, advantages_, returns_;
  std::vector<std::uint8_t> masks_;

  // Buffers that are used only within one call.
  std::vector<float> act_features_;
  Mlp<float>::Cache act_cache_, next_cache_;
  ActorCritic<float>::Cache cache_;
  Matrix<float> act_outputs_, next_values_;
  std::vector<ValuedStep> actor_steps_;
  std::vector<double> actor_advantages_;
};
static_assert(SharesWeights<A2C> && ExpectsSpaces<A2C>);

}  // namespace icrl
