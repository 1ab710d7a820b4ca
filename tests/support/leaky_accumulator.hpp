// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <icrl/model/concepts.hpp>

namespace icrl::test {

/// The smallest model whose stream has no end: sum <- decay * sum + features, outputs = sum * head. Trainable and
/// streaming; shares nothing with the transformer, and has neither a context nor a window.
struct LeakyAccumulator {
  using Scalar = float;

  struct State {
    std::vector<float> sum;
    std::int64_t step_count = 0;

    [[nodiscard]] std::int64_t length() const { return step_count; }
    void clear() {
      std::fill(sum.begin(), sum.end(), 0.0f);
      step_count = 0;
    }
    void save(ByteWriter& out) const {
      out.value(step_count);
      out.values(std::span{sum});
    }
    void restore(ByteReader& in) {
      step_count = in.value_in<std::int64_t>("steps of a sum", 0, std::int64_t{1} << 62);
      in.values(std::span{sum});
    }
  };
  struct StreamWorkspace {};
  struct Cache {
    Matrix<float> sums;  ///< (T, F)
  };

  static constexpr float decay = 0.875f;

  struct Config {
    friend std::string describe(const Config&) { return "leaky"; }
  };
  static constexpr std::string_view kind = "leaky_accumulator";

  Config config{};
  StepLayout layout;
  ActionDistribution actions;
  Matrix<float> head;  ///< (F, parameters)

  explicit LeakyAccumulator(const StepLayout& steps)
      : layout{steps}, actions{steps.action_space}, head(steps.feature_count(), actions.parameter_count()) {
    for (Index i = 0; i < head.size(); ++i) head.data()[i] = 0.125f * static_cast<float>(i % 7 - 3);
  }

  [[nodiscard]] std::optional<int> max_stream_length() const { return {}; }
  [[nodiscard]] std::vector<State> make_states(std::size_t count) const {
    return std::vector<State>(count, State{std::vector<float>(static_cast<std::size_t>(layout.feature_count()))});
  }
  void reserve(StreamWorkspace&, Index) const {}

  void step(std::span<const StreamInput<State>> inputs, StreamWorkspace&, MatrixOut<float> outputs) const {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      State& state = *inputs[i].state;
      add_row(inputs[i].features, state.sum.data());
      ++state.step_count;
      if (inputs[i].wants_output) read_out(state.sum.data(), &outputs(static_cast<Index>(i), 0));
    }
  }

  [[nodiscard]] std::optional<int> max_window() const { return {}; }
  void forward(std::span<const float> features, int steps, Cache& cache, MatrixOut<float> outputs) const {
    cache.sums.setZero(steps, head.rows());
    for (Index t = 0; t < steps; ++t) {
      if (t > 0) cache.sums.row(t) = cache.sums.row(t - 1);
      add_row(features.data() + t * head.rows(), &cache.sums(t, 0));
      read_out(&cache.sums(t, 0), &outputs(t, 0));
    }
  }
  void backward(std::span<const float>, int steps, MatrixIn<float> doutputs, Cache& cache,
                LeakyAccumulator& grad) const {
    grad.head.noalias() += cache.sums.topRows(steps).transpose() * doutputs;
  }

  static constexpr auto parameters() { return std::tuple{Field{"head", &LeakyAccumulator::head}}; }

private:
  void add_row(const float* features, float* sum) const {
    for (Index f = 0; f < head.rows(); ++f) sum[f] = decay * sum[f] + features[f];
  }
  void read_out(const float* sum, float* output) const {
    for (Index p = 0; p < head.cols(); ++p) {
      output[p] = 0;
      for (Index f = 0; f < head.rows(); ++f) output[p] += sum[f] * head(f, p);
    }
  }
};
static_assert(Streaming<LeakyAccumulator> && Trainable<LeakyAccumulator>);

}  // namespace icrl::test
