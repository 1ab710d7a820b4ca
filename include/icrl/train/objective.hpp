// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <icrl/history/context_batch.hpp>
#include <icrl/model/bf16_transformer.hpp>
#include <icrl/model/concepts.hpp>
#include <icrl/model/dropout_transformer.hpp>

namespace icrl {

/// The function that training minimizes. `loss` returns the loss of one window's outputs (T, P) and overwrites doutputs
/// (T, P) with its derivative. Neither is divided by the number of labels, which is done once for the batch. `Scratch`
/// is memory of one thread. `describe()`, empty for the default, tells runs with different objectives apart: a
/// checkpoint belongs to one of them.
template <typename O, typename M>
concept Objective = std::copyable<O> && requires(const O& objective, typename O::Scratch& scratch, const M& model,
                                                 const ContextBatch& batch, Matrix<typename M::Scalar>& rows) {
  { objective.loss(model, batch, /*window*/ 0, rows, rows, scratch) } -> std::convertible_to<double>;
  { objective.describe() } -> std::convertible_to<std::string>;
};

/// The objective of Algorithm Distillation (Laskin et al., 2022, equation 6): the sum of weight * -log p(action) over a
/// window's rows. It ignores outputs that are not for actions.
struct ActionCrossEntropy {
  /// No memory is needed.
  struct Scratch {};

  double label_smoothing = 0;  ///< fraction of the label's probability that is spread over all ids

  template <SequenceModel M>
  double loss(const M& model, const ContextBatch& batch, int window, MatrixIn<typename M::Scalar> outputs,
              MatrixOut<typename M::Scalar> doutputs, Scratch&) const {
    using S = typename M::Scalar;
    const auto action_size = static_cast<std::size_t>(batch.action_size),
               width = static_cast<std::size_t>(model.actions.parameter_count());
    const auto labels = batch.actions_of(window), weights = batch.weights_of(window);
    double loss = 0;
    for (Index t = 0; t < outputs.rows(); ++t) {
      const auto row = static_cast<std::size_t>(t);
      S* const derivative = row_data(doutputs, t);
      if (weights[row] == 0) {
        std::fill_n(derivative, doutputs.cols(), S(0));
        continue;
      }
      std::fill(derivative + width, derivative + doutputs.cols(), S(0));
      loss += static_cast<double>(model.actions.template loss_and_gradient<S>(
          {row_data(outputs, t), width}, labels.subspan(row * action_size, action_size),
          static_cast<S>(label_smoothing), static_cast<S>(weights[row]), std::span<S>{derivative, width}));
    }
    return loss;
  }
  /// The description of the configuration has the label smoothing.
  [[nodiscard]] static std::string describe() { return {}; }
};

namespace detail {

template <typename M, typename Pass>
const M& model_of(const Pass& pass) {
  if constexpr (std::same_as<Pass, M>) {
    return pass;
  } else {
    return pass.model();
  }
}

/// For a model without passes in bfloat16 or with dropout.
struct NoPass {
  using Scalar = float;
  struct Cache {};
};
template <typename M>
using Bf16PassOrNone = std::conditional_t<HasBf16Pass<M>, Bf16Pass<M>, NoPass>;
template <typename M>
using DropoutPassOrNone = std::conditional_t<HasDropoutPass<M>, DropoutPass<M>, NoPass>;

}  // namespace detail

/// The memory of passes over single windows; sized by the first one.
template <typename Pass, typename O = ActionCrossEntropy>
struct WindowScratch {
  typename Pass::Cache cache;                       ///< of the pass
  Matrix<typename Pass::Scalar> outputs, doutputs;  ///< (T, P)
  std::vector<float> rows;                          ///< (T, F) of a window with images
  typename O::Scratch objective;                    ///< of the objective
};

/// The objective's loss on one window. Adds the gradient to `grad`.
template <Trainable M, TrainingPass<M> Pass, Objective<M> O>
double window_loss(const Pass& pass, const O& objective, const ContextBatch& batch, int window,
                   WindowScratch<Pass, O>& scratch, M& grad) {
  const int steps = batch.lengths[static_cast<std::size_t>(window)];
  const auto features = batch.rows_of(window, scratch.rows);
  const M& model = detail::model_of<M>(pass);
  const Index width = output_count_of(model);
  reserve_rows(scratch.outputs, batch.context, width);
  reserve_rows(scratch.doutputs, batch.context, width);
  auto outputs = scratch.outputs.topRows(steps);
  auto doutputs = scratch.doutputs.topRows(steps);
  pass.forward(features, steps, scratch.cache, outputs);
  const double loss = objective.loss(model, batch, window, outputs, doutputs, scratch.objective);
  pass.backward(features, steps, doutputs, scratch.cache, grad);
  return loss;
}

}  // namespace icrl
