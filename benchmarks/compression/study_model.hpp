// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include <icrl/compress/int8_transformer.hpp>
#include <icrl/history/learning_history.hpp>
#include <icrl/model/causal_transformer.hpp>
#include <icrl/train/distil_trainer.hpp>

#include "support/progress.hpp"

namespace icrl::bench {

using FloatModel = CausalTransformer<float>;

struct StudyOptions {
  std::filesystem::path out = "out/compression";
  std::uint64_t seed = 1;
  int threads = 0, permuted = 1, task_count = 0;
  /// Of decoding. Validation tasks choose one for each model.
  std::vector<double> temperatures{0.5, 0.7, 1, 1.4, 2};
  bool quick = false;
};

/// A model of the study, and what it cost.
struct StudyModel {
  FloatModel model;  ///< in float; of a quantized model, with the rounded weights
  std::filesystem::path file;
  std::string origin{};        ///< its line, and those of all that it was made from
  double seconds = 0;          ///< of its own updates, rollouts and rounding
  double total_seconds = 0;    ///< with those of the model that it began with
  double teacher_seconds = 0;  ///< of the teacher, where that is not among them and was needed
  std::optional<Int8Transformer> integers{};

  /// Calls `use(model)` with the model that acts.
  template <typename Use>
  decltype(auto) with_model(Use&& use) const {
    if (integers) return use(*integers);
    return use(model);
  }
};

/// Shows how training goes, and takes the time of rollouts, which a trainer does not count.
struct StudyObserver {
  example::ProgressBar bar;
  std::size_t updates;
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
  double roll_out_seconds = 0;

  void on_update(const DistilMetrics& metrics) {
    bar.show(static_cast<std::size_t>(metrics.update), updates, fmt::format("loss {:.3f}", metrics.loss));
    last = std::chrono::steady_clock::now();
  }
  void on_roll_out(int, std::span<const LearningHistory>) {
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - last;
    roll_out_seconds += seconds.count();
  }
};

}  // namespace icrl::bench
