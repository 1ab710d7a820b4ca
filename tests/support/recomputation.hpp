// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include <icrl/model/causal_transformer.hpp>

namespace icrl::test {

/// The oracle that a streaming memory is tested against: it keeps every row of a stream and runs the whole window each
/// time.
template <typename M>
class Recomputation {
public:
  using Scalar = typename M::Scalar;

  explicit Recomputation(const M& model)
      : model_{&model}, outputs_(model.config.context, model.actions.parameter_count()) {}

  void add(std::span<const float> row) { rows_.insert(rows_.end(), row.begin(), row.end()); }

  /// What the model says at the end of a window over the last `steps` rows, the first of which has no past.
  RowVector<Scalar> last_outputs(int steps) {
    const std::size_t size = static_cast<std::size_t>(steps * model_->layout.feature_count());
    std::vector<float> window(rows_.end() - static_cast<std::ptrdiff_t>(size), rows_.end());
    model_->layout.forget_previous(std::span{window}.first(static_cast<std::size_t>(model_->layout.feature_count())));
    model_->forward(window, steps, cache_, outputs_.topRows(steps));
    return outputs_.row(steps - 1);
  }

private:
  const M* model_;
  std::vector<float> rows_;
  typename M::Cache cache_;
  Matrix<Scalar> outputs_;
};

/// The larger one, NaN if one is: std::max may drop it.
inline double worse_of(double one, double other) { return std::isnan(one) || one >= other ? one : other; }

/// The largest difference, relative to the largest number if that exceeds 1. NaN if a number is.
template <typename S>
double difference(const RowVector<S>& expected, std::span<const S> found) {
  double difference = 0, largest = 1;
  for (Index i = 0; i < expected.size(); ++i) {
    difference = worse_of(difference, std::abs(static_cast<double>(expected[i] - found[static_cast<std::size_t>(i)])));
    largest = worse_of(largest, std::abs(static_cast<double>(expected[i])));
  }
  return difference / largest;
}

template <typename S>
inline constexpr double streaming_tolerance = sizeof(S) == sizeof(float) ? 1e-5 : 1e-12;

}  // namespace icrl::test
