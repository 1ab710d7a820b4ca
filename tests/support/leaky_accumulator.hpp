// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include <icrl/model/concepts.hpp>

namespace icrl::test {

/// The smallest model whose stream has no end: sum <- decay * sum + features, outputs = sum * head. Shares nothing with
/// the transformer, and has neither a context nor a window.
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

  static constexpr float decay = 0.875f;

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
      for (std::size_t f = 0; f < state.sum.size(); ++f) state.sum[f] = decay * state.sum[f] + inputs[i].features[f];
      ++state.step_count;
      if (!inputs[i].wants_output) continue;
      for (Index p = 0; p < head.cols(); ++p) {
        float output = 0;
        for (std::size_t f = 0; f < state.sum.size(); ++f) output += state.sum[f] * head(static_cast<Index>(f), p);
        outputs(static_cast<Index>(i), p) = output;
      }
    }
  }

  static constexpr auto parameters() { return std::tuple{Field{"head", &LeakyAccumulator::head}}; }
};
static_assert(Streaming<LeakyAccumulator> && Parameterized<LeakyAccumulator> && !Trainable<LeakyAccumulator>);

inline std::string describe(const LeakyAccumulator& model) {
  return fmt::format("leaky accumulator of {} features", model.layout.feature_count());
}

}  // namespace icrl::test
