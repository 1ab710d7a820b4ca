// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <variant>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/learner/learner.hpp>
#include <icrl/learner/noise_schedule.hpp>
#include <icrl/learner/one_hot.hpp>
#include <icrl/learner/random_learner.hpp>
#include <icrl/learner/replay_memory.hpp>
#include <icrl/nn/adamw.hpp>
#include <icrl/nn/mlp.hpp>

namespace icrl {

/// How DQN learns.
struct DqnConfig {
  std::vector<Index> hidden{64};  ///< sizes of the hidden layers
  Activation activation = Activation::relu;
  ReplayConfig replay{.capacity = 10000, .steps = 3, .discount = 0.95};  ///< capacity, n-step returns and discount
  int batch = 32;                                                        ///< steps per update
  int learning_start = 64;                                               ///< steps in memory before the first update
  int update_every = 1;                                                  ///< environment steps per update
  int target_every = 100;  ///< updates between two copies to the target network
  bool double_q = true;    ///< the network chooses the next action, the target network values it
  NoiseSchedule noise{};   ///< probability of a random action, by episode
  AdamWConfig optimizer{.learning_rate = 1e-3, .max_gradient_norm = 10};
};

/// Throws Error, which names the first value outside its range.
inline void validate(const DqnConfig& config) {
  validate(config.replay);
  validate(config.noise);
  const auto positive = [](const char* name, int value) {
    if (value < 1) fail("DQN: {} is {}, it must be at least 1", name, value);
  };
  positive("batch", config.batch);
  positive("learning_start", config.learning_start);
  positive("update_every", config.update_every);
  positive("target_every", config.target_every);
  if (config.learning_start > config.replay.capacity) {
    fail("DQN: learning_start is {}, it must not exceed the capacity of the replay memory, {}", config.learning_start,
         config.replay.capacity);
  }
}

/// Q-learning with a network, experience replay and a target network (Mnih et al., 2015), n-step returns and, if
/// asked for, double Q-learning (van Hasselt et al., 2016). Minimizes the mean over a batch of replayed steps of
///   (Q(o, a) - (R + g Q_target(o', a')))^2 / 2
/// where R is the n-step return, g its discount (0 after a termination), and a' the allowed action with the highest
/// value. Observations of any space, Discrete actions.
class Dqn {
public:
  /// `rng` draws the initial weights and what is replayed. Throws Error for an invalid configuration or for actions
  /// that are not Discrete.
  Dqn(const DqnConfig& config, const Space& observation_space, const Space& action_space, Rng& rng)
      : config_{checked(config)},
        observation_space_{observation_space},
        action_count_{count_of(action_space)},
        encoder_{observation_space, "DQN, observations"},
        memory_{config.replay, static_cast<std::size_t>(value_count(observation_space))},
        network_{sizes(), config.activation},
        target_{network_},
        gradient_{network_},
        optimizer_{network_, config.optimizer},
        replay_rng_{rng.fork(rng.bits())},
        epsilon_{config.noise.at(0)} {
    network_.initialize(rng);
    target_ = network_;
  }

  /// Throws Error unless these are the spaces of the network.
  void check_spaces(const Space& observation_space, const Space& action_space) const {
    detail::check_observation_space(observation_space_, observation_space, "DQN");
    detail::check_action_space(Discrete{action_count_}, action_space, "DQN");
  }

  void act(std::span<const float> observation, std::span<float> action, Rng& rng) { act(observation, {}, action, rng); }
  /// An empty mask allows all.
  void act(std::span<const float> observation, std::span<const std::uint8_t> allowed, std::span<float> action,
           Rng& rng) {
    if (rng.chance(epsilon_)) {
      action[0] = static_cast<float>(allowed.empty() ? rng.below(action_count_) : random_allowed(allowed, rng));
      return;
    }
    resize(x_, 1);
    encode(observation, x_, 0);
    values_of(network_, x_, values_);
    action[0] = static_cast<float>(best(values_, 0, allowed));
  }

  /// Stores the transition, and learns from a batch of stored ones.
  void learn(const Transition& transition) {
    memory_.add(transition);
    if (transition.ends_episode()) epsilon_ = config_.noise.at(++episode_);
    if (memory_.size() >= config_.learning_start &&
        ++step_count_ % static_cast<std::uint64_t>(config_.update_every) == 0)
      update();
  }

  /// The network that maps one-hot observations to the values of all actions.
  [[nodiscard]] const Mlp<float>& network() const { return network_; }
  [[nodiscard]] int update_count() const { return optimizer_.step_count(); }
  /// Probability of a random action in this episode.
  [[nodiscard]] double epsilon() const { return epsilon_; }

private:
  static const DqnConfig& checked(const DqnConfig& config) {
    validate(config);
    return config;
  }
  static int count_of(const Space& action_space) {
    if (!std::holds_alternative<Discrete>(action_space))
      fail("DQN: actions must be Discrete, not {}", to_short_string(action_space));
    icrl::validate(action_space, "DQN, actions");
    return std::get<Discrete>(action_space).count;
  }
  [[nodiscard]] std::vector<Index> sizes() const {
    std::vector<Index> all{static_cast<Index>(encoder_.size())};
    all.insert(all.end(), config_.hidden.begin(), config_.hidden.end());
    all.push_back(action_count_);
    return all;
  }

  void resize(Matrix<float>& x, Index rows) const { x.resize(rows, static_cast<Index>(encoder_.size())); }
  void encode(std::span<const float> observation, Matrix<float>& x, Index row) const {
    encoder_.write(observation, {row_data(x, row), encoder_.size()});
  }
  void values_of(const Mlp<float>& network, const Matrix<float>& x, Matrix<float>& values) {
    values.resize(x.rows(), action_count_);
    network.forward(x, cache_, values);
  }
  /// The allowed action of the highest value; among equal ones the first.
  [[nodiscard]] static int best(const Matrix<float>& values, Index row, std::span<const std::uint8_t> allowed) {
    int chosen = -1;
    for (int a = 0; a < static_cast<int>(values.cols()); ++a) {
      if (!allowed.empty() && allowed[static_cast<std::size_t>(a)] == 0) continue;
      if (chosen < 0 || values(row, a) > values(row, chosen)) chosen = a;
    }
    if (chosen < 0) fail("DQN: an action mask allows none of the {} actions", values.cols());
    return chosen;
  }

  void update() {
    const Index rows = config_.batch;
    steps_.clear();
    resize(x_, rows);
    resize(next_x_, rows);
    for (Index r = 0; r < rows; ++r) {
      steps_.push_back(memory_.step(replay_rng_.below(memory_.size())));
      encode(steps_.back().observation, x_, r);
      encode(steps_.back().next_observation, next_x_, r);
    }
    values_of(target_, next_x_, target_values_);
    if (config_.double_q) values_of(network_, next_x_, next_values_);
    values_of(network_, x_, values_);  // the last, because backward needs its cache
    dvalues_.setZero(rows, action_count_);
    for (Index r = 0; r < rows; ++r) {
      const ReplayStep& step = steps_[static_cast<std::size_t>(r)];
      double td_target = step.reward;
      if (step.next_discount > 0) {
        const int next_action = best(config_.double_q ? next_values_ : target_values_, r, step.next_allowed);
        td_target += step.next_discount * static_cast<double>(target_values_(r, next_action));
      }
      const double error = static_cast<double>(values_(r, step.action)) - td_target;
      dvalues_(r, step.action) = static_cast<float>(error / static_cast<double>(rows));
    }
    set_zero(gradient_);
    network_.backward_parameters(x_, dvalues_, cache_, scratch_, gradient_);
    (void)optimizer_.step(network_, gradient_);
    if (optimizer_.step_count() % config_.target_every == 0) target_ = network_;
  }

  DqnConfig config_;
  Space observation_space_;
  int action_count_;
  OneHot encoder_;
  ReplayMemory memory_;
  Mlp<float> network_, target_, gradient_;
  AdamW<Mlp<float>> optimizer_;
  Rng replay_rng_;
  double epsilon_;
  int episode_ = 0;
  std::uint64_t step_count_ = 0;

  // Buffers that are used only within one call.
  std::vector<ReplayStep> steps_;
  Mlp<float>::Cache cache_;
  Mlp<float>::Scratch scratch_;
  Matrix<float> x_, next_x_, values_, next_values_, target_values_, dvalues_;
};
static_assert(Learner<Dqn> && MaskedPolicy<Dqn> && ExpectsSpaces<Dqn>);

}  // namespace icrl
