// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/history/context_batch.hpp>
#include <icrl/history/step_layout.hpp>
#include <icrl/model/concepts.hpp>
#include <icrl/train/objective.hpp>

namespace icrl {

namespace detail {

/// Fills `returns` (T) with the discounted return from each row to the end of its episode: a reward k steps later
/// counts discount^k times. NaN where it is unknown: in an episode that continues after the window, where the reward of
/// the last row is missing, and in closing rows and padding.
inline void returns_of(const ContextBatch& batch, int window, double discount, std::vector<double>& returns) {
  const auto rows = batch.features_of(window);
  const auto width = static_cast<std::size_t>(batch.feature_count - batch.image_size),
             length = static_cast<std::size_t>(batch.lengths[static_cast<std::size_t>(window)]);
  constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  returns.assign(static_cast<std::size_t>(batch.context), unknown);
  for (std::size_t t = length; t-- > 1;) {  // row t tells the reward of row t - 1
    const auto row = rows.subspan(t * width, width);
    const int flags = static_cast<int>(row.back());
    if ((flags & StepFlag::no_previous) != 0) continue;
    const bool ends_episode = (flags & (StepFlag::episode_start | StepFlag::closing)) != 0;
    returns[t - 1] = static_cast<double>(row[width - 2]) + (ends_episode || discount == 0 ? 0 : discount * returns[t]);
  }
}

}  // namespace detail

/// Actions, and the return that follows each: the sum over a window's rows of
///   weight * (-log p(action) + value_weight / 2 * (value - return)^2)
/// The value is the model's first output after those for actions (see ValueHead); the return is the discounted sum of
/// the rewards to the end of the episode. Rows whose episode continues after the window have no return and only train
/// the action, so windows must be longer than episodes.
struct ActionAndValue {
  static constexpr bool reads_windows = true;  ///< returns are summed from the rewards in their rows

  double value_weight = 0.5;   ///< factor of half the squared error, finite, at least 0
  double discount = 0.99;      ///< factor per step of later rewards, in 0 .. 1
  double label_smoothing = 0;  ///< as in ActionCrossEntropy

  /// Memory of one thread.
  struct Scratch {
    ActionCrossEntropy::Scratch actions;  ///< of the part that is for actions
    std::vector<double> returns;          ///< (T)
  };

  template <SequenceModel M>
  double loss(const M& model, const ContextBatch& batch, int window, MatrixIn<typename M::Scalar> outputs,
              MatrixOut<typename M::Scalar> doutputs, Scratch& scratch) const {
    using S = typename M::Scalar;
    const Index place = model.actions.parameter_count();
    if (outputs.cols() <= place) {
      fail("action and value: the model has {} outputs, all for actions; it needs one for the value (use a ValueHead)",
           outputs.cols());
    }
    double loss = ActionCrossEntropy{label_smoothing}.loss(model, batch, window, outputs, doutputs, scratch.actions);
    detail::returns_of(batch, window, discount, scratch.returns);
    const auto weights = batch.weights_of(window);
    for (Index t = 0; t < outputs.rows(); ++t) {
      const auto row = static_cast<std::size_t>(t);
      const double weight = value_weight * static_cast<double>(weights[row]);
      if (weight == 0 || std::isnan(scratch.returns[row])) continue;
      const double error = static_cast<double>(outputs(t, place)) - scratch.returns[row];
      loss += weight / 2 * error * error;
      doutputs(t, place) = static_cast<S>(weight * error);
    }
    return loss;
  }

  [[nodiscard]] std::string describe() const {
    return fmt::format("values of returns, discount {}, weight {}", discount, value_weight);
  }
};

/// Throws Error naming the first invalid value.
inline void validate(const ActionAndValue& objective) {
  if (!(objective.discount >= 0 && objective.discount <= 1))
    fail("action and value: discount is {}, it must lie in 0 .. 1", objective.discount);
  if (!(objective.value_weight >= 0 && std::isfinite(objective.value_weight)))
    fail("action and value: value_weight is {}, it must be finite and at least 0", objective.value_weight);
}

}  // namespace icrl
