// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>

#include <icrl/core/config_fields.hpp>
#include <icrl/env/action_distribution.hpp>
#include <icrl/history/step_layout.hpp>
#include <icrl/math/matrix.hpp>
#include <icrl/nn/parameters.hpp>

namespace icrl::test {

struct TraceConfig {
  int context = 8;
  double decay = 0.5;  ///< of the trace, per row
  WindowStart window_start = WindowStart::episode;

  static constexpr auto fields() {
    using C = TraceConfig;
    return std::tuple{IntField<C>{"context", &C::context, 1, 1 << 20, "context {}", "rows that the trace is made of"},
                      RealField<C>{"decay", &C::decay, 0, 1, "decay {}", "of the trace, per row"},
                      EnumField<C, WindowStart>{"window_start", &C::window_start, window_start_names,
                                                "windows that start {}", "where the windows begin"}};
  }
  friend bool operator==(const TraceConfig&, const TraceConfig&) = default;
};

/// About the smallest model with a memory, and none of whose lines is a transformer's: outputs are linear in a decaying
/// sum of the rows so far, h(t) = decay * h(t-1) + row(t).
template <std::floating_point S>
struct TraceModel {
  using Scalar = S;
  static constexpr std::string_view kind = "trace";

  TraceConfig config;
  StepLayout layout;
  ActionDistribution actions;
  Matrix<S> weight;   ///< (features, outputs)
  RowVector<S> bias;  ///< (outputs)

  TraceModel(const TraceConfig& shape, const StepLayout& steps)
      : config{shape},
        layout{steps},
        actions{steps.action_space},
        weight{Matrix<S>::Zero(steps.feature_count(), actions.parameter_count())},
        bias{RowVector<S>::Zero(actions.parameter_count())} {
    validate_fields(config, "trace model");
  }

  void initialize(Rng& rng) { fill_normal(weight, 0.1, rng); }

  [[nodiscard]] std::optional<int> max_window() const { return config.context; }
  [[nodiscard]] WindowStart window_start() const { return config.window_start; }

  struct Cache {
    Matrix<S> trace;  ///< (T, features)
  };

  void forward(std::span<const float> features, int steps, Cache& cache, MatrixOut<S> outputs) const {
    reserve_rows(cache.trace, steps, weight.rows());
    for (int t = 0; t < steps; ++t) {
      for (Index i = 0; i < weight.rows(); ++i) {
        const S before = t > 0 ? static_cast<S>(config.decay) * cache.trace(t - 1, i) : S(0);
        cache.trace(t, i) = before + static_cast<S>(features[static_cast<std::size_t>(t * weight.rows() + i)]);
      }
      outputs.row(t) = bias + cache.trace.row(t).lazyProduct(weight);
    }
  }

  /// Adds to `grad`.
  void backward(std::span<const float>, int steps, MatrixIn<S> doutputs, Cache& cache, TraceModel& grad) const {
    for (int t = 0; t < steps; ++t) {
      grad.weight += cache.trace.row(t).transpose().lazyProduct(doutputs.row(t));
      grad.bias += doutputs.row(t);
    }
  }

  static std::int64_t weight_count(const TraceConfig&, const StepLayout& layout) {
    return std::int64_t{layout.feature_count() + 1} * ActionDistribution{layout.action_space}.parameter_count();
  }

  static constexpr auto parameters() {
    return std::tuple{Field{"weight", &TraceModel::weight}, Field{"bias", &TraceModel::bias}};
  }
};

/// A model that is not trained, whose tensors have two element types.
struct Int8Model {
  using Scalar = float;
  static constexpr std::string_view kind = "int8";

  TraceConfig config;
  StepLayout layout;
  ActionDistribution actions;
  Matrix<std::int8_t> weight;  ///< (features, outputs)
  RowVector<float> scale;      ///< (outputs)

  Int8Model(const TraceConfig& shape, const StepLayout& steps)
      : config{shape},
        layout{steps},
        actions{steps.action_space},
        weight{Matrix<std::int8_t>::Zero(steps.feature_count(), actions.parameter_count())},
        scale{RowVector<float>::Ones(actions.parameter_count())} {}

  static std::int64_t weight_count(const TraceConfig& config, const StepLayout& layout) {
    return TraceModel<float>::weight_count(config, layout);
  }

  static constexpr auto tensors() {
    return std::tuple{Field{"weight", &Int8Model::weight}, Field{"scale", &Int8Model::scale}};
  }
};

}  // namespace icrl::test
