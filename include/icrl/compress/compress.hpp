// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <icrl/compress/calibration.hpp>
#include <icrl/compress/fake_quant_transformer.hpp>
#include <icrl/compress/layer_removal.hpp>
#include <icrl/compress/recipe.hpp>
#include <icrl/compress/rehearsal.hpp>
#include <icrl/compress/smaller_model.hpp>
#include <icrl/compress/soft_labels.hpp>
#include <icrl/compress/to_int8.hpp>
#include <icrl/compress/window_divergence.hpp>
#include <icrl/model/fingerprint.hpp>
#include <icrl/train/distil.hpp>
#include <icrl/train/distil_checks.hpp>

namespace icrl {

/// What one step of a recipe did.
struct StepReport {
  std::string name;               ///< see name_of
  std::int64_t weight_count = 0;  ///< of the model after it
  double sparsity = 0;            ///< share of the prunable weights that are zero after it
  double kl = 0;                  ///< KL(original || model) over the recipe's windows, mean per step, nats
  double rounding_kl = 0;         ///< after Quantize: KL(float || rounded), which `max_kl` is compared with
  double seconds = 0;             ///< of wall-clock time, the measurement of `kl` excluded
  std::vector<int> layer_bits{};  ///< after quantizing: bits of each layer's weights
};

/// What a recipe made of a model.
struct Compressed {
  CausalTransformer<float> model;             ///< in float; after quantizing, with the rounded weights
  std::optional<Int8Transformer> integers{};  ///< after quantizing
  WeightMasks masks{};                        ///< what was pruned
  std::vector<StepReport> steps{};            ///< one per step of the recipe

  /// Calls `use(model)` with the model that will act: the integer model if there is one.
  template <typename Use>
  decltype(auto) with_model(Use&& use) const {
    if (integers) return use(*integers);
    return use(model);
  }
};

/// An observer that wants to know which step of a recipe begins.
template <typename O>
concept HasOnStep = requires(O& observer, int number, std::string_view name) {
  observer.on_step(number, name);
};

namespace detail {

/// Masks of the named tensors, or of those of all blocks; they keep the weights that are not zero.
[[nodiscard]] inline WeightMasks zero_masks(const CausalTransformer<float>& model,
                                            const std::vector<std::string>& names) {
  WeightMasks masks;
  for (const auto& p : tensors_to_prune(model, names)) {
    WeightMask& mask = masks.emplace_back(WeightMask{.name = p.name, .rows = p.rows, .columns = p.columns, .kept = {}});
    for (const float weight : p.numbers()) mask.kept.push_back(weight != 0 ? 1 : 0);
  }
  return masks;
}

/// The share of the prunable weights that are zero.
[[nodiscard]] inline double zero_share(const CausalTransformer<float>& model) {
  return prunable_weights(model).empty() ? 0 : sparsity_of(zero_masks(model, {}));
}

/// One run over a recipe.
template <typename Observer>
class Compression {
public:
  Compression(const CausalTransformer<float>& original, const WindowSampler& sampler, std::uint64_t seed,
              Observer& observer)
      : original_{original}, sampler_{sampler}, rng_{seed, 0x636f6d7072657373}, observer_{observer} {}

  /// To be called before a step. A checkpoint belongs to one step and to the weights that it begins with.
  void begin(std::size_t number, const Compressed& result) {
    start_ = fmt::format("step {} from {}", number, fingerprint(result.model));
  }

  /// Windows for one purpose; each purpose has its own `stream`.
  [[nodiscard]] ContextBatch windows(int count, std::uint64_t stream) const {
    ContextBatch batch;
    sampler_.sample(count, rng_.fork(stream), batch);
    return batch;
  }

  void run(const NewStudent& step, Compressed& result) const {
    result.model = CausalTransformer<float>{step.shape, original_.layout};
    Rng rng = rng_.fork(4);
    result.model.initialize(rng);
  }

  void run(const KeepBestParts& step, Compressed& result) const {
    const ContextBatch batch = windows(step.windows, 1);
    PartCounts counts = step.counts;
    if (counts.layers > 0) {
      result.model = smaller_model(result.model, keep_layers(result.model, batch, counts.layers));
      counts.layers = 0;
    }
    if (counts.heads < 1 || counts.neurons < 1)
      result.model = smaller_model(result.model, best_parts(taylor_scores(result.model, batch), counts));
  }

  void run(const FineTune& step, Compressed& result) { fine_tune(step, FixedMasks{result.masks}, result); }

  void run(const PruneGradually& step, Compressed& result) {
    GradualPruning pruning{.config = step.weights, .schedule = step.schedule};
    if (step.weights.criterion == PruneCriterion::wanda) {
      Calibration calibration{result.model};
      calibration.add(result.model, windows(step.norm_windows, 2));
      pruning.norms = input_norms(calibration);
    }
    fine_tune(step.fine_tuning, pruning, result);
    result.masks = zero_masks(result.model, step.weights.weights);
  }

  void run(const TrainSparse& step, Compressed& result) {
    fine_tune(step.fine_tuning, SparseTraining{step.weights}, result);
    result.masks = zero_masks(result.model, step.weights.weights);
  }

  void run(const Quantize& step, Compressed& result) {
    const ContextBatch batch = windows(step.windows, 3);
    Calibration calibration{result.model};
    calibration.add(result.model, batch);
    std::vector<QuantizationRule> rules = complete_rules(step.rules);
    QuantizedModel quantized = quantize_weights(result.model, rules, &calibration);
    rounding_kl_ = window_divergence(result.model, quantized.dequantized, batch);
    while (rounding_kl_ > step.max_kl) {
      const std::string worst = most_hurt(result.model, quantized, batch);
      if (worst.empty()) break;
      rules.insert(rules.begin(), {.pattern = worst, .how = WeightQuantization{.bits = 8}});
      quantized = quantize_weights(result.model, rules, &calibration);
      rounding_kl_ = window_divergence(result.model, quantized.dequantized, batch);
    }
    result.integers = to_int8(quantized);
    result.model = std::move(quantized.dequantized);
    for (WeightMask& mask : result.masks) mask = zero_masks(result.model, {mask.name}).front();
  }

  /// What the last Quantize left, see StepReport.
  [[nodiscard]] double rounding_kl() const { return rounding_kl_; }

  void run(const TrainQuantized& step, Compressed& result) {
    if (step.bits == 4) return train_quantized<FakeQuant{.bits = 4}>(step.fine_tuning, result);
    if (step.bits == 3) return train_quantized<FakeQuant{.bits = 3}>(step.fine_tuning, result);
    train_quantized<FakeQuant{.bits = 2}>(step.fine_tuning, result);
  }

private:
  template <FakeQuant how>
  void train_quantized(const FineTune& step, Compressed& result) {
    constexpr FakeQuant head{.bits = 8, .learns_steps = false};
    auto model = to_fake_quant<FakeQuantTransformer<how, head>>(result.model);
    (void)distil(model, sampler_, step.training, observer_, objective(step));
    QuantizedModel quantized = from_fake_quant(model);
    result.integers = to_int8(quantized);
    result.model = std::move(quantized.dequantized);
  }

  template <typename P>
  void fine_tune(const FineTune& step, const P& pruner, Compressed& result) {
    (void)distil(result.model, sampler_, step.training, observer_, objective(step), OneRank{}, pruner);
  }

  [[nodiscard]] DescribedObjective<SoftLabels<CausalTransformer<float>>> objective(const FineTune& step) const {
    return {SoftLabels<CausalTransformer<float>>{original_, step.labels}, start_};
  }

  /// Among layers and head, as far as they have fewer than 8 bits, the one whose rounding alone changes the outputs
  /// most, as a pattern of its maps; empty if all have 8.
  [[nodiscard]] static std::string most_hurt(const CausalTransformer<float>& model, const QuantizedModel& quantized,
                                             const ContextBatch& batch) {
    std::string worst;
    double largest = -1;
    const auto consider = [&](const std::string& map, const std::string& pattern, const auto& round) {
      const QuantizedMatrix* const matrix = quantized.find(map);
      if (matrix == nullptr || matrix->bits == 8) return;
      CausalTransformer<float> one = model;
      round(one);
      const double change = window_divergence(model, one, batch);
      if (change <= largest) return;
      largest = change;
      worst = pattern;
    };
    for (std::size_t i = 0; i < model.blocks.size(); ++i) {
      consider(fmt::format("blocks.{}.attention.qkv", i), fmt::format("blocks.{}.*", i),
               [&](auto& one) { one.blocks[i] = quantized.dequantized.blocks[i]; });
    }
    consider("head", "head", [&](auto& one) { one.head = quantized.dequantized.head; });
    return worst;
  }

  const CausalTransformer<float>& original_;
  const WindowSampler& sampler_;
  Rng rng_;
  Observer& observer_;
  std::string start_;
  double rounding_kl_ = 0;
};

}  // namespace detail

/// Compresses a trained transformer step by step, and reports after each step how far it has moved from the original.
/// `sampler` gives the windows for training and calibration: of training tasks, never of held-out ones. The result
/// depends only on model, recipe, windows and seed, not on the number of threads. The observer may have the functions
/// of a distil() observer, and `on_step(int number, std::string_view name)`, with numbers from 1.
///
/// A low KL per step does not prove that a model still learns: judge it by its learning curve, which judge() measures.
///
/// Throws Error for a recipe that is invalid, or invalid for this model, and for windows that distil() would refuse for
/// it, before anything is done. A step that has a checkpoint goes on from it only if it begins with the same weights.
template <typename Observer>
[[nodiscard]] Compressed compress(const CausalTransformer<float>& model, const Recipe& recipe,
                                  const WindowSampler& sampler, std::uint64_t seed, Observer&& observer) {
  constexpr int report_windows = 64;
  validate(recipe);
  detail::validate_pairing(model, sampler);
  detail::Rehearsal rehearsal{model};
  for (const CompressionStep& step : recipe.steps) std::visit([&](const auto& one) { rehearsal.run(one); }, step);
  detail::Compression<std::remove_reference_t<Observer>> compression{model, sampler, seed, observer};
  const ContextBatch windows = compression.windows(report_windows, 0);
  Compressed result{.model = model};
  for (const CompressionStep& step : recipe.steps) {
    const std::string name{name_of(step)};
    if constexpr (HasOnStep<std::remove_reference_t<Observer>>)
      observer.on_step(static_cast<int>(result.steps.size()) + 1, name);
    compression.begin(result.steps.size() + 1, result);
    const auto begin = std::chrono::steady_clock::now();
    std::visit([&](const auto& one) { compression.run(one, result); }, step);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    StepReport report{.name = name,
                      .weight_count = parameter_count(result.model),
                      .sparsity = detail::zero_share(result.model),
                      .kl = window_divergence(model, result.model, windows),
                      .rounding_kl = compression.rounding_kl(),
                      .seconds = seconds.count()};
    for (int i = 0; result.integers && i < result.integers->config.layer_count; ++i)
      report.layer_bits.push_back(result.integers->config.bits_of(i));
    result.steps.push_back(std::move(report));
  }
  return result;
}

/// Without an observer.
[[nodiscard]] inline Compressed compress(const CausalTransformer<float>& model, const Recipe& recipe,
                                         const WindowSampler& sampler, std::uint64_t seed = 0) {
  struct Nobody {};
  return compress(model, recipe, sampler, seed, Nobody{});
}

/// Any other model is refused, because its layers are not known here.
template <SequenceModel M, typename... Rest>
requires(!std::same_as<M, CausalTransformer<float>>)
    [[noreturn]] void compress(const M&, const Recipe&, const WindowSampler&, Rest&&...) {
  fail("compress: a {} of {} bits cannot be compressed by a recipe, only a {} of 32 bits can", M::kind,
       8 * sizeof(typename M::Scalar), CausalTransformer<float>::kind);
}

}  // namespace icrl
