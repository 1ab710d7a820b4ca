// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/learner/ppo.hpp>
#include <icrl/model/concepts.hpp>
#include <icrl/train/objective.hpp>
#include <icrl/train/trial.hpp>

namespace icrl {

/// Sums over the steps of trials.
struct ClippedTotals {
  double steps = 0;           ///< how many
  double policy = 0;          ///< -min(ratio A, clip(ratio) A)
  double entropy = 0;         ///< of the policy, nats
  double value_error = 0;     ///< (value - return)^2 / 2
  double approximate_kl = 0;  ///< ratio - 1 - log(ratio): an estimate of KL(old policy || new policy), nats
  double clipped = 0;         ///< steps that do not change the policy, because their ratio has left the range

  /// Adds every sum.
  ClippedTotals& operator+=(const ClippedTotals& other) {
    steps += other.steps;
    policy += other.policy;
    entropy += other.entropy;
    value_error += other.value_error;
    approximate_kl += other.approximate_kl;
    clipped += other.clipped;
    return *this;
  }
};

/// PPO's objective (Schulman et al., 2017, equations 7 and 9) on a trial, as an Objective: the sum over its steps of
///   -min(ratio A, clip(ratio, 1 - c, 1 + c) A) - entropy_weight H + value_weight / 2 (V - return)^2
/// with ratio = p(action) / p(action) of the model that acted. V is the model's first output after those for actions.
/// Advantages A and returns are constants of the trial.
struct ClippedObjective {
  double clip = 0.2;             ///< c
  double entropy_weight = 0.01;  ///< factor of the entropy H
  double value_weight = 0.5;     ///< factor of half the squared error
  const Trial* trial = nullptr;  ///< whose window is the batch; not owned

  /// Memory of one part of a batch. `totals` is added to and never cleared here.
  struct Scratch {
    ClippedTotals totals;            ///< of all calls so far
    Matrix<double> outputs;          ///< (1, parameters of the action distribution)
    std::vector<double> doutputs{};  ///< the same
  };

  /// The loss of a trial and its derivative, as an Objective; the batch is the trial's window. `trial` must be set.
  template <SequenceModel M>
  double loss(const M& model, const ContextBatch&, int, MatrixIn<typename M::Scalar> outputs,
              MatrixOut<typename M::Scalar> doutputs, Scratch& scratch) const {
    ICRL_ASSERT(trial != nullptr, "clipped objective: it has no trial");
    const Index place = model.actions.parameter_count();
    const auto size = static_cast<std::size_t>(place);
    scratch.outputs.resize(1, place);
    scratch.doutputs.resize(size);
    const std::span<const double> row{scratch.outputs.data(), size};
    doutputs.setZero();
    double total = 0;
    for (Index t = 0; t < outputs.rows(); ++t) {
      if (!trial->has_action(static_cast<int>(t))) continue;
      const auto r = static_cast<std::size_t>(t);
      detail::read_action_outputs<typename M::Scalar>(*trial, t, outputs, scratch.outputs);
      const auto action = detail::action_of(*trial, t);
      const double advantage = trial->advantages[r];
      const double log_ratio =
          trial->negative_log_probabilities[r] - model.actions.template loss<double>(row, action, 0.0);
      const double ratio = std::exp(log_ratio), weight = clipped_advantage(ratio, advantage, clip);
      (void)model.actions.template loss_and_gradient<double>(row, action, 0.0, weight, scratch.doutputs);
      const double entropy =
          model.actions.template add_entropy_gradient<double>(row, -entropy_weight, scratch.doutputs);
      const double error = static_cast<double>(outputs(t, place)) - trial->returns[r];
      for (std::size_t k = 0; k < size; ++k)
        doutputs(t, static_cast<Index>(k)) = static_cast<typename M::Scalar>(scratch.doutputs[k]);
      doutputs(t, place) = static_cast<typename M::Scalar>(value_weight * error);

      const double gain = std::min(ratio * advantage, std::clamp(ratio, 1 - clip, 1 + clip) * advantage);
      scratch.totals += {.steps = 1,
                         .policy = -gain,
                         .entropy = entropy,
                         .value_error = error * error / 2,
                         .approximate_kl = ratio - 1 - log_ratio,
                         .clipped = weight == 0 && advantage != 0 ? 1.0 : 0.0};
      total += -gain - entropy_weight * entropy + value_weight * error * error / 2;
    }
    return total;
  }

  /// The description of Rl2Config has these numbers.
  [[nodiscard]] static std::string describe() { return {}; }
};

}  // namespace icrl
