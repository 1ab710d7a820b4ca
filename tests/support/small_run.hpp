// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstring>
#include <vector>

#include <icrl/history/window_sampler.hpp>
#include <icrl/train/distil_config.hpp>

#include "support/small_model.hpp"

namespace icrl::test {

/// Made-up histories and the windows of them, for models that train in no time.
struct SmallRun {
  explicit SmallRun(const TransformerConfig& shape_of_models = small_config(8),
                    const StepLayout& layout_of_steps = id_layout(true))
      : shape{shape_of_models},
        layout{layout_of_steps},
        histories{fake_histories(layout, 3, 12, 5)},
        sampler{views(histories), layout, {.context = shape.context, .start = shape.window_start}} {}
  SmallRun(const SmallRun&) = delete;
  SmallRun& operator=(const SmallRun&) = delete;

  template <typename S = float>
  [[nodiscard]] CausalTransformer<S> model() const {
    return small_model<S>(shape, layout);
  }

  TransformerConfig shape;
  StepLayout layout;
  std::vector<LearningHistory> histories;
  WindowSampler sampler;
};

/// As small as a model can be.
inline TransformerConfig tiny_config() {
  return {.width = 2, .layer_count = 1, .head_count = 1, .hidden = 1, .context = 2};
}
inline StepLayout tiny_layout() { return {.observation_space = Discrete{2}, .action_space = Discrete{2}}; }

/// A run of a few updates with all that a run can have.
inline DistilConfig small_distil(int updates) {
  return {
      .updates = updates, .batch = 6, .warmup = 2, .ema_decay = 0.9, .evaluate_every = 0, .thread_count = 1, .seed = 7};
}

/// Whether two models have the same weights, bit for bit.
template <typename M>
bool have_equal_bits(const M& a, const M& b) {
  const auto x = weights_of(a), y = weights_of(b);
  return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof x[0]) == 0;
}

}  // namespace icrl::test
