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
#include <icrl/compress/sparse_training.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/model/transformer_config.hpp>
#include <icrl/train/distil_config.hpp>

// The steps of a recipe, in the order in which they usually stand: fewer parts, training, fewer weights, fewer bits.
namespace icrl {

/// Replaces the original by a student: a model of another shape with random weights, which the next FineTune trains.
/// Kept parts (KeepBestParts) learn sooner, but a student may be narrower. Its context has to be the original's.
struct NewStudent {
  TransformerConfig shape{};  ///< of the student
};

/// Removes layers, then heads and neurons: the layers whose removal changes the outputs least (keep_layers), the others
/// by the first-order change of the loss (taylor_scores), both over windows.
struct KeepBestParts {
  PartCounts counts{};  ///< how many parts are kept
  int windows = 64;     ///< of training tasks, to score parts on; at least 1
};

/// Trains the current model: on the labels of the windows, on the original's outputs, or on both
/// (SoftLabelConfig::mix). What earlier steps have pruned stays pruned.
struct FineTune {
  /// Schedule, batches and optimizer.
  DistilConfig training{.updates = 500, .learning_rate = 1e-3, .warmup = 50, .evaluate_every = 0};
  SoftLabelConfig labels{.mix = 0.5};  ///< how much the teacher's outputs count
};

/// Prunes weights during training, along a schedule; then trains the remaining weights. Wanda takes the norms of the
/// inputs over `norm_windows` windows, movement those gradients that training has anyway.
struct PruneGradually {
  PruneConfig weights{};       ///< what is pruned; its sparsity is not used
  PruningSchedule schedule{};  ///< how much is pruned, by update
  FineTune fine_tuning{};      ///< during pruning and after it
  int norm_windows = 64;       ///< only for Wanda, at least 1
};

/// Trains a sparse model from a random sparse start, with a fixed number of weights that are exchanged for others
/// (SparseTraining). Most weights of the current model are lost, so it is a step for a NewStudent, in place of
/// FineTune.
struct TrainSparse {
  SparseTrainingConfig weights{};  ///< how many weights, and how they are exchanged
  /// While weights are exchanged and after it.
  FineTune fine_tuning{.training = {.updates = 1000, .learning_rate = 1e-3, .warmup = 50, .evaluate_every = 0},
                       .labels = {.mix = 0.5}};
};

/// Rounds the weights of linear maps and converts the model to integers (Int8Transformer). Has to be the last step.
/// Maps that no rule quantizes get 8 bits. After pruning, a rule may have neither 2 bits nor Rounding::gptq, which
/// would fill what was pruned.
///
/// The layers that lose most, and the head, fall back to 8 bits, one after another, until KL(float || rounded) over
/// `windows` windows is at most `max_kl` nats per step, or all have 8 bits; StepReport::rounding_kl tells which.
struct Quantize {
  /// For maps by name; the first that matches decides.
  std::vector<QuantizationRule> rules{{.pattern = "*", .how = WeightQuantization{}}};
  int windows = 64;  ///< for calibration and for `max_kl`; at least 1
  /// In nats per step, above 0; infinite: no layer falls back.
  double max_kl = std::numeric_limits<double>::infinity();
};

/// Trains the weights for the few bits that they will have (quantization-aware training, FakeQuantTransformer), and
/// converts the model to integers. It must be the last step, and nothing may be pruned. The blocks get `bits` bits, the
/// head 8.
struct TrainQuantized {
  int bits = 4;  ///< 4, 3 or 2
  /// Of the rounded weights.
  FineTune fine_tuning{.training = {.updates = 1000, .learning_rate = 1e-3, .warmup = 50, .evaluate_every = 0}};
};

/// One step of a recipe.
using CompressionStep =
    std::variant<NewStudent, KeepBestParts, FineTune, PruneGradually, TrainSparse, Quantize, TrainQuantized>;

/// The steps that compress a model.
struct Recipe {
  std::vector<CompressionStep> steps;  ///< in order; see validate
};

/// The name of a kind of step, such as "fine-tune", in reports and errors.
[[nodiscard]] inline std::string_view name_of(const CompressionStep& step) {
  constexpr std::string_view names[] = {"new student",  "keep best parts", "fine-tune",      "prune gradually",
                                        "train sparse", "quantize",        "train quantized"};
  return names[step.index()];
}

/// Throws Error naming the first invalid step, counted from 1.
inline void validate(const Recipe& recipe) {
  const auto validate_tuning = [](std::size_t number, const FineTune& tuning) {
    validate(tuning.training);
    validate(tuning.labels);
    if (tuning.training.label_smoothing != 0)
      fail("recipe: step {}: label_smoothing is {}, with soft labels it must be 0", number,
           tuning.training.label_smoothing);
    if (tuning.training.token_mask != 0)
      fail("recipe: step {}: token_mask is {}, with soft labels it must be 0", number, tuning.training.token_mask);
  };
  const auto positive = [](std::size_t number, const char* name, int value) {
    if (value < 1) fail("recipe: step {}: {} is {}, it must be positive", number, name, value);
  };
  const auto last = [&](std::size_t number) {
    if (number != recipe.steps.size())
      fail("recipe: step {} of {} quantizes, only the last step may do that", number, recipe.steps.size());
  };
  std::string_view pruned_by;  // the name of an earlier step
  for (std::size_t i = 0; i < recipe.steps.size(); ++i) {
    const CompressionStep& step = recipe.steps[i];
    const std::size_t number = i + 1;
    if (const auto* student = std::get_if<NewStudent>(&step)) {
      validate(student->shape);
      if (number != 1) fail("recipe: step {} is a new student, only the first step may be one", number);
    } else if (const auto* parts = std::get_if<KeepBestParts>(&step)) {
      positive(number, "windows", parts->windows);
      if (!pruned_by.empty()) {
        fail("recipe: step {} removes parts after weights were pruned (put \"{}\" before \"{}\")", number,
             name_of(step), pruned_by);
      }
    } else if (const auto* tuning = std::get_if<FineTune>(&step)) {
      validate_tuning(number, *tuning);
    } else if (const auto* pruning = std::get_if<PruneGradually>(&step)) {
      if (!pruned_by.empty())
        fail("recipe: step {} prunes weights a second time (use one step with a higher final_sparsity)", number);
      validate(pruning->weights);
      validate(pruning->schedule);
      validate_tuning(number, pruning->fine_tuning);
      positive(number, "norm_windows", pruning->norm_windows);
      pruned_by = name_of(step);
    } else if (const auto* sparse = std::get_if<TrainSparse>(&step)) {
      if (!pruned_by.empty())
        fail("recipe: step {} begins a sparse model after \"{}\" (use one of the two)", number, pruned_by);
      validate(sparse->weights);
      validate_tuning(number, sparse->fine_tuning);
      pruned_by = name_of(step);
    } else if (const auto* rounding = std::get_if<Quantize>(&step)) {
      positive(number, "windows", rounding->windows);
      if (!(rounding->max_kl > 0)) fail("recipe: step {}: max_kl is {}, it must be positive", number, rounding->max_kl);
      for (const QuantizationRule& rule : rounding->rules) {
        if (pruned_by.empty() || !rule.how) continue;
        if (rule.how->bits == 2)
          fail("recipe: step {} rounds pruned weights to 2 bits, whose codes have no zero (use 3 bits or more)",
               number);
        if (rule.how->rounding == Rounding::gptq) {
          fail(
              "recipe: step {} rounds pruned weights by GPTQ, which makes up for errors in weights that were pruned, "
              "too (use Rounding::nearest or searched)",
              number);
        }
      }
      last(number);
    } else if (const auto* training = std::get_if<TrainQuantized>(&step)) {
      validate_tuning(number, training->fine_tuning);
      if (training->bits < 2 || training->bits > 4)
        fail("recipe: step {}: bits is {}, it must be 4, 3 or 2 (for 8 bits, use Quantize)", number, training->bits);
      if (!pruned_by.empty())
        fail("recipe: step {} trains a pruned model for quantization, which is not supported; use Quantize", number);
      last(number);
    }
  }
}

}  // namespace icrl
