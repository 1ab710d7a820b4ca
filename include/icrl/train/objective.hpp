// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <icrl/history/context_batch.hpp>
#include <icrl/model/concepts.hpp>

namespace icrl {

/// The memory of passes over single windows; sized by the first one.
template <typename Pass>
struct WindowScratch {
  typename Pass::Cache cache;
  Matrix<typename Pass::Scalar> outputs, doutputs;  ///< (T, parameters of the action distribution)
  std::vector<float> rows;                          ///< (T, F) of a window with images
};

/// The objective of Algorithm Distillation (Laskin et al., 2022, equation 6) on one window: the sum of weight * -log
/// p(action) over its rows. Its derivative is added to `grad`. Neither is divided by the number of labels, which is the
/// batch's affair.
template <Trainable M, TrainingPass<M> Pass>
double window_loss(const Pass& pass, const ContextBatch& batch, int sequence, double label_smoothing,
                   WindowScratch<Pass>& scratch, M& grad) {
  using S = typename M::Scalar;
  const int steps = batch.lengths[static_cast<std::size_t>(sequence)];
  const auto action_size = static_cast<std::size_t>(batch.action_size),
             width = static_cast<std::size_t>(grad.actions.parameter_count());
  const auto features = batch.rows_of(sequence, scratch.rows), labels = batch.actions_of(sequence),
             weights = batch.weights_of(sequence);
  reserve_rows(scratch.outputs, batch.context, static_cast<Index>(width));
  reserve_rows(scratch.doutputs, batch.context, static_cast<Index>(width));
  auto outputs = scratch.outputs.topRows(steps);
  auto doutputs = scratch.doutputs.topRows(steps);

  pass.forward(features, steps, scratch.cache, outputs);
  double loss = 0;
  for (int t = 0; t < steps; ++t) {
    const auto row = static_cast<std::size_t>(t);
    if (weights[row] == 0) {
      std::fill_n(&doutputs(t, 0), width, S(0));
      continue;
    }
    loss += static_cast<double>(grad.actions.template loss_and_gradient<S>(
        {&outputs(t, 0), width}, labels.subspan(row * action_size, action_size), static_cast<S>(label_smoothing),
        static_cast<S>(weights[row]), std::span<S>{&doutputs(t, 0), width}));
  }
  pass.backward(features, steps, doutputs, scratch.cache, grad);
  return loss;
}

}  // namespace icrl
