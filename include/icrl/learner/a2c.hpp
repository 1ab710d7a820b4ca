// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <span>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/learner/actor_critic.hpp>
#include <icrl/learner/actor_group.hpp>
#include <icrl/learner/learner.hpp>
#include <icrl/nn/adamw.hpp>

namespace icrl {

/// How A2C learns.
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
        actors_{"A2C", config.actor_count, config.hidden, config.activation, observation_space, action_space, rng},
        gradient_{actors_.network()},
        optimizer_{actors_.network(), config.optimizer} {}

  [[nodiscard]] int member_count() const { return actors_.member_count(); }

  /// Throws Error unless these are the spaces of the networks.
  void check_spaces(const Space& observation_space, const Space& action_space) const {
    actors_.check_spaces(observation_space, action_space);
  }

  /// Learns if a rollout is full, then samples an action for each member from the policy.
  void act(const GroupObservations& group, std::span<float> actions, std::span<Rng> rngs) {
    if (group.members.empty()) return;
    if (act_count_ == config_.rollout_length) update();
    ++act_count_;
    actors_.sample(group, actions, rngs);
  }

  /// Stores the transition for the next update.
  void learn(int member, const Transition& transition) { actors_.store(member, transition); }

  [[nodiscard]] const ActorCritic<float>& network() const { return actors_.network(); }
  [[nodiscard]] int update_count() const { return optimizer_.step_count(); }
  /// The loss of the last update.
  [[nodiscard]] const ActorCriticLoss& loss() const { return loss_; }

private:
  static const A2CConfig& checked(const A2CConfig& config) {
    validate(config);
    return config;
  }

  void update() {
    act_count_ = 0;
    if (actors_.step_count() == 0) return;
    const auto x = actors_.features();
    ActorCritic<float>& network = actors_.network();
    network.forward(x, cache_);
    actors_.estimate_advantages(cache_.values, config_.discount, config_.lambda);
    set_zero(gradient_);
    loss_ = network.backward(x, actors_.actions(),
                             {.actions = actors_.taken(),
                              .masks = actors_.masks(),
                              .advantages = actors_.advantages(),
                              .returns = actors_.returns(),
                              .entropy_weight = config_.entropy_weight,
                              .value_weight = config_.value_weight},
                             cache_, gradient_);
    (void)optimizer_.step(network, gradient_);
    actors_.clear();
  }

  A2CConfig config_;
  ActorGroup actors_;
  ActorCritic<float> gradient_;
  AdamW<ActorCritic<float>> optimizer_;
  ActorCritic<float>::Cache cache_;
  ActorCriticLoss loss_;
  int act_count_ = 0;  // number of calls of act since the last update
};
static_assert(SharesWeights<A2C> && ExpectsSpaces<A2C>);

}  // namespace icrl
