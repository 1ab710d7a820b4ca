// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/learner/actor_critic.hpp>
#include <icrl/learner/actor_group.hpp>
#include <icrl/learner/learner.hpp>
#include <icrl/nn/adamw.hpp>

namespace icrl {

/// How PPO learns.
struct PpoConfig {
  int actor_count = 16;           ///< number of actors, each in its own environment
  int rollout_length = 64;        ///< steps per actor between two updates
  int epochs = 4;                 ///< passes over a rollout
  int minibatch = 256;            ///< steps per gradient step; the last one of an epoch may have fewer
  std::vector<Index> hidden{64};  ///< sizes of the hidden layers of both networks
  Activation activation = Activation::tanh;
  double discount = 0.99;
  double lambda = 0.95;  ///< for the advantages: 1 gives n-step returns, 0 gives one-step errors
  double clip = 0.2;     ///< the ratio of new to old probability is clipped to [1 - clip, 1 + clip]
  double entropy_weight = 0.01;
  double value_weight = 0.5;
  bool normalize_advantages = true;  ///< to mean 0 and standard deviation 1 within a rollout of two steps or more
  AdamWConfig optimizer{.learning_rate = 3e-3, .max_gradient_norm = 0.5};
};

/// Throws Error, which names the first value outside its range.
inline void validate(const PpoConfig& config) {
  const auto check = [](const char* name, double value, double low, double high) {
    if (!(value >= low && value <= high)) fail("PPO: {} is {}, it must lie in {} .. {}", name, value, low, high);
  };
  check("actor_count", config.actor_count, 1, 1 << 20);
  check("rollout_length", config.rollout_length, 1, 1 << 20);
  check("epochs", config.epochs, 1, 1 << 20);
  check("minibatch", config.minibatch, 1, 1 << 30);
  check("discount", config.discount, 0, 1);
  check("lambda", config.lambda, 0, 1);
  check("clip", config.clip, 0, 1e6);
  check("entropy_weight", config.entropy_weight, 0, 1e6);
  check("value_weight", config.value_weight, 0, 1e6);
}

/// The derivative of PPO's clipped objective min(ratio A, clip(ratio, 1 - c, 1 + c) A) with respect to log p(action)
/// (Schulman et al., 2017, equation 7): ratio A, or 0 where the ratio has left the range in the direction in which the
/// advantage A pulls it.
[[nodiscard]] inline double clipped_advantage(double ratio, double advantage, double clip) {
  const bool is_clipped = advantage > 0 ? ratio > 1 + clip : ratio < 1 - clip;
  return is_clipped ? 0 : ratio * advantage;
}

/// Proximal policy optimization with a clipped objective (Schulman et al., 2017), for Discrete, MultiDiscrete and Box
/// actions. Actors in copies of one task share a policy and a value function. After every `rollout_length` steps of
/// each actor, both learn from the steps of all actors, in several passes over random minibatches.
///
/// The members of the group are the actors. Their behavior depends only on the spaces, the configuration and the
/// generators.
class Ppo {
public:
  static constexpr bool shares_weights = true;

  /// `rng` draws the initial weights and what orders the minibatches. Throws Error for an invalid configuration or
  /// space.
  Ppo(const PpoConfig& config, const Space& observation_space, const Space& action_space, Rng& rng)
      : config_{checked(config)},
        actors_{"PPO", config.actor_count, config.hidden, config.activation, observation_space, action_space, rng},
        gradient_{actors_.network()},
        optimizer_{actors_.network(), config.optimizer},
        order_rng_{rng.fork(rng.bits())} {}

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
  /// Gradient steps taken.
  [[nodiscard]] int update_count() const { return optimizer_.step_count(); }
  /// The share of steps whose ratio was clipped, over the last rollout's passes.
  [[nodiscard]] double clipped_fraction() const { return clipped_fraction_; }

private:
  /// What one minibatch is copied into.
  struct Minibatch {
    Matrix<float> features;
    std::vector<float> actions, advantages, returns;
    std::vector<std::uint8_t> masks;
  };

  static const PpoConfig& checked(const PpoConfig& config) {
    validate(config);
    return config;
  }

  void update() {
    act_count_ = 0;
    const std::size_t count = actors_.step_count();
    if (count == 0) return;
    const ActorCritic<float>& network = actors_.network();
    const auto x = actors_.features();
    network.forward(x, cache_);
    actors_.estimate_advantages(cache_.values, config_.discount, config_.lambda);
    advantages_.assign(actors_.advantages().begin(), actors_.advantages().end());
    if (config_.normalize_advantages && count > 1) normalize(advantages_);
    forbid(actors_.masks(), cache_.outputs, x.rows());
    old_losses_.resize(count);
    for (std::size_t i = 0; i < count; ++i) old_losses_[i] = action_loss(cache_, i, action_of(actors_.taken(), i));

    order_.resize(count);
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    clipped_count_ = 0;
    const auto size = static_cast<std::size_t>(config_.minibatch);
    for (int epoch = 0; epoch < config_.epochs; ++epoch) {
      for (std::size_t i = count; i > 1; --i)
        std::swap(order_[i - 1], order_[static_cast<std::size_t>(order_rng_.below(static_cast<int>(i)))]);
      for (std::size_t first = 0; first < count; first += size)
        learn_from(std::span{order_}.subspan(first, std::min(size, count - first)));
    }
    clipped_fraction_ = static_cast<double>(clipped_count_) / static_cast<double>(count) / config_.epochs;
    actors_.clear();
  }

  /// One gradient step along the clipped objective of these rows.
  void learn_from(std::span<const std::size_t> rows) {
    gather(rows);
    ActorCritic<float>& network = actors_.network();
    network.forward(batch_.features, cache_);
    forbid(std::span<const std::uint8_t>{batch_.masks}, cache_.outputs, batch_.features.rows());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const double loss = action_loss(cache_, i, action_of(batch_.actions, i));
      const double ratio = std::exp(old_losses_[rows[i]] - loss);
      const auto advantage = static_cast<double>(batch_.advantages[i]);
      const double pull = clipped_advantage(ratio, advantage, config_.clip);
      if (pull == 0 && advantage != 0) ++clipped_count_;
      batch_.advantages[i] = static_cast<float>(pull);
    }
    set_zero(gradient_);
    (void)network.backward(batch_.features, actors_.actions(),
                           {.actions = batch_.actions,
                            .masks = batch_.masks,
                            .advantages = batch_.advantages,
                            .returns = batch_.returns,
                            .entropy_weight = config_.entropy_weight,
                            .value_weight = config_.value_weight},
                           cache_, gradient_);
    (void)optimizer_.step(network, gradient_);
  }

  void gather(std::span<const std::size_t> rows) {
    const auto x = actors_.features();
    const auto masks = actors_.masks();
    const std::size_t mask_size = masks.size() / actors_.step_count();
    batch_.features.resize(static_cast<Index>(rows.size()), x.cols());
    batch_.actions.clear();
    batch_.advantages.clear();
    batch_.returns.clear();
    batch_.masks.clear();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::size_t row = rows[i];
      batch_.features.row(static_cast<Index>(i)) = x.row(static_cast<Index>(row));
      const auto action = action_of(actors_.taken(), row);
      const auto mask = masks.subspan(row * mask_size, mask_size);
      batch_.actions.insert(batch_.actions.end(), action.begin(), action.end());
      batch_.masks.insert(batch_.masks.end(), mask.begin(), mask.end());
      batch_.advantages.push_back(advantages_[row]);
      batch_.returns.push_back(actors_.returns()[row]);
    }
  }

  static void normalize(std::span<float> values) {
    const auto count = static_cast<double>(values.size());
    double sum = 0, squares = 0;
    for (const float value : values) sum += static_cast<double>(value);
    const double mean = sum / count;
    for (const float value : values)
      squares += (static_cast<double>(value) - mean) * (static_cast<double>(value) - mean);
    const double deviation = std::sqrt(squares / count);
    for (float& value : values) value = static_cast<float>((static_cast<double>(value) - mean) / (deviation + 1e-8));
  }

  [[nodiscard]] std::span<const float> action_of(std::span<const float> actions, std::size_t row) const {
    const auto size = static_cast<std::size_t>(actors_.actions().action_size());
    return actions.subspan(row * size, size);
  }

  /// -log p(action) by row `row` of the policy's outputs.
  [[nodiscard]] double action_loss(const ActorCritic<float>::Cache& cache, std::size_t row,
                                   std::span<const float> action) const {
    const std::span<const float> outputs{row_data(cache.outputs, static_cast<Index>(row)),
                                         static_cast<std::size_t>(cache.outputs.cols())};
    return static_cast<double>(actors_.actions().loss<float>(outputs, action, 0));
  }

  PpoConfig config_;
  ActorGroup actors_;
  ActorCritic<float> gradient_;
  AdamW<ActorCritic<float>> optimizer_;
  Rng order_rng_;
  int act_count_ = 0;  // number of calls of act since the last update
  double clipped_fraction_ = 0;

  // Buffers that are used only within one update.
  ActorCritic<float>::Cache cache_;
  Minibatch batch_;
  std::vector<float> advantages_;   // (T)
  std::vector<double> old_losses_;  // (T), -log p(action) before the update
  std::vector<std::size_t> order_;
  std::size_t clipped_count_ = 0;
};
static_assert(SharesWeights<Ppo> && ExpectsSpaces<Ppo>);

}  // namespace icrl
