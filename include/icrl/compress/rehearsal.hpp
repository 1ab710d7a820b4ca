// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <icrl/compress/fake_quant_transformer.hpp>
#include <icrl/compress/linear_maps.hpp>
#include <icrl/compress/part_scores.hpp>
#include <icrl/compress/recipe.hpp>
#include <icrl/compress/smaller_model.hpp>
#include <icrl/compress/soft_labels.hpp>
#include <icrl/compress/to_int8.hpp>
#include <icrl/train/distil_checks.hpp>

namespace icrl::detail {

/// The rules of an integer model: maps that no rule quantizes get 8 bits.
[[nodiscard]] inline std::vector<QuantizationRule> complete_rules(std::vector<QuantizationRule> rules) {
  for (QuantizationRule& rule : rules)
    if (!rule.how) rule.how = WeightQuantization{.bits = 8};
  rules.push_back({.pattern = "*", .how = WeightQuantization{.bits = 8}});
  return rules;
}

/// Checks a recipe without windows and without training, so that an error of a later step is found at once: names of
/// tensors and maps, numbers of parts, schedules, widths that differ within a layer, products that a model cannot have.
class Rehearsal {
public:
  explicit Rehearsal(const CausalTransformer<float>& original) : original_{original}, model_{original} {}

  void run(const NewStudent& step) {
    if (step.shape.context != model_.config.context) {
      fail("compress: the new student's context is {}, it must be the original's, {} (the length of the windows)",
           step.shape.context, model_.config.context);
    }
    if (step.shape.window_start != model_.config.window_start)
      fail(
          "compress: the new student's window_start is {}, it must be the original's, {} (it is trained on its windows)",
          to_string(step.shape.window_start), to_string(model_.config.window_start));
    model_ = CausalTransformer<float>{step.shape, model_.layout};
  }
  void run(const KeepBestParts& step) { model_ = smaller_model(model_, best_parts(norm_scores(model_), step.counts)); }
  void run(const FineTune& step) const { check_training(step, model_); }
  void run(const PruneGradually& step) {
    GradualPruning pruning{.config = step.weights, .schedule = step.schedule};
    pruning.validate(step.fine_tuning.training.updates);
    pruning.config.criterion = PruneCriterion::magnitude;  // needs no norms and no training
    check_masks(pruning.next_masks(step.schedule.end, model_, {}));
    if (step.weights.criterion == PruneCriterion::wanda) check_inputs_are_known(step.weights.weights);
    check_training(step.fine_tuning, model_);
  }
  void run(const TrainSparse& step) const {
    const SparseTraining sparse{step.weights};
    sparse.validate(step.fine_tuning.training.updates);
    check_masks(sparse.next_masks(0, model_, {}));
    check_training(step.fine_tuning, model_);
  }
  void run(const Quantize& step) {
    std::vector<QuantizationRule> rules = complete_rules(step.rules);
    for (QuantizationRule& rule : rules) {
      validate(*rule.how);
      rule.how->rounding = Rounding::nearest;  // needs no calibration
    }
    (void)to_int8(quantize_weights(model_, rules));
  }
  void run(const TrainQuantized& step) const {
    check_training(step.fine_tuning,
                   FakeQuantTransformer<FakeQuant{.bits = 4}>{model_.config, model_.layout});  // as any bits
  }

private:
  void check_masks(const std::optional<WeightMasks>& masks) const {
    if (masks) validate_masks(*masks, model_);
  }

  /// Wanda weighs by the inputs of linear maps, which other tensors have not.
  void check_inputs_are_known(const std::vector<std::string>& names) const {
    for (const std::string& name : names) {
      bool is_map = false;
      for_each_linear_map(
          model_, [&](std::string_view map, const auto&) { is_map = is_map || name == std::string{map} + ".weight"; });
      if (!is_map)
        fail("compress: Wanda cannot prune the tensor \"{}\", which is not the weight of a linear layer", name);
    }
  }

  /// What a trainer and its objective refuse whatever the windows are.
  template <typename M>
  void check_training(const FineTune& step, const M& model) const {
    check_representable<float>("distil", optimizer_config(step.training));
    (void)used_products(model, step.training);
    (void)SoftLabels<CausalTransformer<float>>{original_, step.labels};
  }

  const CausalTransformer<float>& original_;
  CausalTransformer<float> model_;
};

}  // namespace icrl::detail
