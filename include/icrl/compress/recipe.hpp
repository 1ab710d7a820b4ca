// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <limits>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <icrl/compress/gradual_pruning.hpp>
#include <icrl/compress/part_scores.hpp>
#include <icrl/compress/quantize_model.hpp>
#include <icrl/compress/soft_labels.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/train/distil_config.hpp>

// The steps of a recipe, in the order in which they usually stand: fewer parts, training, fewer weights, fewer bits.
namespace icrl {

/// Removes layers, then heads and neurons: the layers whose removal changes the outputs least (keep_layers), the others
/// by the first-order change of the loss (taylor_scores), both over windows.
struct KeepBestParts {
  PartCounts counts{};
  int windows = 64;
};

/// Trains what is there: on the labels of the windows, on the original's outputs, or on both (SoftLabelConfig::mix).
/// What earlier steps have pruned stays pruned.
struct FineTune {
  DistilConfig training{.updates = 500, .learning_rate = 1e-3, .warmup = 50, .evaluate_every = 0};
  SoftLabelConfig labels{.mix = 0.5};
};

/// Prunes weights while they are trained, along a schedule; then training goes on with what is left. Wanda takes the
/// norms of the inputs over `norm_windows` windows.
struct PruneGradually {
  PruneConfig weights{};
  PruningSchedule schedule{};
  FineTune fine_tuning{};
  int norm_windows = 64;
};

/// Rounds the weights of linear maps, and makes the model one of integers (Int8Transformer). Has to be the last step.
/// Maps that no rule quantizes get 8 bits.
///
/// Layers that are hurt most fall back to 8 bits, one after another, until KL(float || rounded) over `windows` windows
/// is at most `max_kl` nats per step.
struct Quantize {
  std::vector<QuantizationRule> rules{{.pattern = "*", .how = WeightQuantization{}}};
  int windows = 64;
  double max_kl = std::numeric_limits<double>::infinity();
};

using CompressionStep = std::variant<KeepBestParts, FineTune, PruneGradually, Quantize>;

/// What is done to a model, step by step.
struct Recipe {
  std::vector<CompressionStep> steps;
};

[[nodiscard]] inline std::string_view name_of(const CompressionStep& step) {
  constexpr std::string_view names[] = {"keep best parts", "fine-tune", "prune gradually", "quantize"};
  return names[step.index()];
}

/// Throws Error naming the first step that makes no sense, counted from 1.
inline void validate(const Recipe& recipe) {
  const auto validate_tuning = [](std::size_t number, const FineTune& tuning) {
    validate(tuning.training);
    validate(tuning.labels);
    if (tuning.training.label_smoothing != 0)
      fail("recipe: step {}: label_smoothing is {}, beside soft labels it must be 0", number,
           tuning.training.label_smoothing);
  };
  const auto positive = [](std::size_t number, const char* name, int value) {
    if (value < 1) fail("recipe: step {}: {} is {}, it must be positive", number, name, value);
  };
  bool has_pruned = false;
  for (std::size_t i = 0; i < recipe.steps.size(); ++i) {
    const CompressionStep& step = recipe.steps[i];
    const std::size_t number = i + 1;
    if (const auto* parts = std::get_if<KeepBestParts>(&step)) {
      positive(number, "windows", parts->windows);
      if (has_pruned) {
        fail("recipe: step {} removes parts of a model whose weights are pruned (put \"{}\" before \"{}\")", number,
             name_of(step), name_of(PruneGradually{}));
      }
    } else if (const auto* tuning = std::get_if<FineTune>(&step)) {
      validate_tuning(number, *tuning);
    } else if (const auto* pruning = std::get_if<PruneGradually>(&step)) {
      if (has_pruned)
        fail("recipe: step {} prunes weights again (one step with a higher final_sparsity does both)", number);
      validate(pruning->weights);
      validate(pruning->schedule);
      validate_tuning(number, pruning->fine_tuning);
      positive(number, "norm_windows", pruning->norm_windows);
      has_pruned = true;
    } else if (const auto* rounding = std::get_if<Quantize>(&step)) {
      positive(number, "windows", rounding->windows);
      if (!(rounding->max_kl > 0)) fail("recipe: step {}: max_kl is {}, it must be positive", number, rounding->max_kl);
      if (number != recipe.steps.size())
        fail("recipe: step {} of {} quantizes, which has to be the last step", number, recipe.steps.size());
    }
  }
}

}  // namespace icrl
