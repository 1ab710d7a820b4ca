// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <icrl/history/step_layout.hpp>

namespace icrl {

/// B sequences of up to T steps, as a model trains on them. F = feature_count, A = action_size.
struct ContextBatch {
  int sequence_count = 0;  ///< B
  int context = 0;         ///< T
  int feature_count = 0;
  int action_size = 0;
  std::vector<float> features;  ///< (B, T, F) rows of a StepLayout; zeros past a sequence's length
  std::vector<float> actions;   ///< (B, T, A) the label of each row: the action that follows it
  std::vector<float> weights;   ///< (B, T) 1 = labelled, 0 = closing row or padding
  std::vector<int> lengths;     ///< (B) rows in use, closing rows among them

  /// Takes the sizes; allocates only when they grow. Contents are left as they are.
  void resize(int sequences, int steps, const StepLayout& layout) {
    sequence_count = sequences;
    context = steps;
    feature_count = layout.feature_count();
    action_size = layout.action_size();
    const std::size_t rows = static_cast<std::size_t>(sequences) * static_cast<std::size_t>(steps);
    features.resize(rows * static_cast<std::size_t>(feature_count));
    actions.resize(rows * static_cast<std::size_t>(action_size));
    weights.resize(rows);
    lengths.resize(static_cast<std::size_t>(sequences));
  }

  /// All T rows of sequence b: (T, F), (T, A) and (T).
  [[nodiscard]] std::span<float> features_of(int b) { return part(std::span{features}, b, feature_count); }
  [[nodiscard]] std::span<float> actions_of(int b) { return part(std::span{actions}, b, action_size); }
  [[nodiscard]] std::span<float> weights_of(int b) { return part(std::span{weights}, b, 1); }
  [[nodiscard]] std::span<const float> features_of(int b) const { return part(std::span{features}, b, feature_count); }
  [[nodiscard]] std::span<const float> actions_of(int b) const { return part(std::span{actions}, b, action_size); }
  [[nodiscard]] std::span<const float> weights_of(int b) const { return part(std::span{weights}, b, 1); }

private:
  template <typename T>
  [[nodiscard]] std::span<T> part(std::span<T> values, int b, int width) const {
    const std::size_t size = static_cast<std::size_t>(context) * static_cast<std::size_t>(width);
    return values.subspan(static_cast<std::size_t>(b) * size, size);
  }
};

}  // namespace icrl
