// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <icrl/core/assert.hpp>
#include <icrl/env/action_distribution.hpp>
#include <icrl/nn/mlp.hpp>

namespace icrl {

/// Sets the outputs of forbidden actions so that their probability is 0. `masks`: (rows, columns), or empty if all
/// actions are allowed.
template <typename S>
void forbid(std::span<const std::uint8_t> masks, Matrix<S>& outputs, Index rows) {
  ICRL_ASSERT(masks.empty() || masks.size() == static_cast<std::size_t>(rows * outputs.cols()),
              "forbid: masks must have one byte per output");
  for (std::size_t i = 0; i < masks.size(); ++i)
    if (masks[i] == 0) outputs.data()[i] = S(-1e30);
}

/// The data of an actor-critic update, T steps.
template <typename S>
struct ActorCriticBatch {
  std::span<const float> actions;         ///< (T, action size), the actions taken
  std::span<const std::uint8_t> masks{};  ///< (T, action count), allowed actions; empty = all
  std::span<const S> advantages;          ///< (T)
  std::span<const S> returns;             ///< (T), the targets of the values
  double entropy_weight = 0, value_weight = 0;
};

/// The terms of the loss, as means over the batch.
struct ActorCriticLoss {
  double policy = 0;   ///< -advantage log p(action)
  double entropy = 0;  ///< entropy of the policy in nats
  double value = 0;    ///< (value - return)^2 / 2
  double total = 0;    ///< policy - entropy_weight entropy + value_weight value
};

/// A policy and a value function of the same observations, as two networks.
template <std::floating_point S>
struct ActorCritic {
  Mlp<S> policy, value;  ///< features -> parameters of the action distribution, and features -> 1

  /// The results of a forward pass that backward needs.
  struct Cache {
    typename Mlp<S>::Cache policy, value;                    ///< of the two networks
    typename Mlp<S>::Scratch policy_scratch, value_scratch;  ///< of the two networks
    Matrix<S> outputs, doutputs;                             ///< (T, parameters of the action distribution)
    Matrix<S> values, dvalues;                               ///< (T, 1)
  };

  /// x (T, features) -> cache.outputs, cache.values.
  void forward(MatrixIn<S> x, Cache& cache) const {
    const Index rows = x.rows();
    reserve_rows(cache.outputs, rows, policy.output_size());
    reserve_rows(cache.values, rows, Index{1});
    policy.forward(x, cache.policy, cache.outputs.topRows(rows));
    value.forward(x, cache.value, cache.values.topRows(rows));
  }

  /// Computes the loss of the steps with observations `x` and adds its gradient to `grad`. Advantages and returns are
  /// constants. With T steps, action a and value V:
  ///   doutputs = (advantage d(-log p(a)) - entropy_weight d(entropy)) / T,  dV = value_weight (V - return) / T
  /// Overwrites the outputs of forbidden actions.
  ActorCriticLoss backward(MatrixIn<S> x, const ActionDistribution& actions, const ActorCriticBatch<S>& batch,
                           Cache& cache, ActorCritic& grad) const {
    const Index rows = x.rows();
    const auto action_size = static_cast<std::size_t>(actions.action_size());
    ICRL_ASSERT(batch.advantages.size() == static_cast<std::size_t>(rows) &&
                    batch.returns.size() == static_cast<std::size_t>(rows) &&
                    batch.actions.size() == static_cast<std::size_t>(rows) * action_size,
                "actor-critic: the batch must have one action, advantage and return per step");
    forbid(batch.masks, cache.outputs, rows);
    reserve_rows(cache.doutputs, rows, policy.output_size());
    reserve_rows(cache.dvalues, rows, Index{1});
    const S share = S(1) / static_cast<S>(rows);
    ActorCriticLoss loss;
    for (Index r = 0; r < rows; ++r) {
      const auto i = static_cast<std::size_t>(r), size = static_cast<std::size_t>(policy.output_size());
      const std::span<const S> outputs{row_data(cache.outputs, r), size};
      const std::span<S> doutputs{row_data(cache.doutputs, r), size};
      loss.policy += static_cast<double>(actions.loss_and_gradient<S>(
          outputs, batch.actions.subspan(i * action_size, action_size), S(0), share * batch.advantages[i], doutputs));
      loss.entropy += static_cast<double>(
          share * actions.add_entropy_gradient<S>(outputs, -share * static_cast<S>(batch.entropy_weight), doutputs));
      const S error = cache.values(r, 0) - batch.returns[i];
      loss.value += static_cast<double>(S(0.5) * share * error * error);
      cache.dvalues(r, 0) = share * static_cast<S>(batch.value_weight) * error;
    }
    policy.backward_parameters(x, cache.doutputs.topRows(rows), cache.policy, cache.policy_scratch, grad.policy);
    value.backward_parameters(x, cache.dvalues.topRows(rows), cache.value, cache.value_scratch, grad.value);
    loss.total = loss.policy - batch.entropy_weight * loss.entropy + batch.value_weight * loss.value;
    return loss;
  }

  static constexpr auto parameters() {
    return std::tuple{Field{"policy", &ActorCritic::policy}, Field{"value", &ActorCritic::value}};
  }
};

}  // namespace icrl
