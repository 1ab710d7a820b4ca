// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>

#include <icrl/compress/soft_labels.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/model/causal_transformer.hpp>
#include <icrl/model/value_head.hpp>

namespace icrl {

/// A student whose head has `width` outputs beside those for actions, which `HiddenLabels` trains. They are a linear
/// map of its last hidden state. `without_extra_outputs` takes them away again.
template <std::floating_point S, int width>
using HintedTransformer = CausalTransformer<S, ValueParts<S, DenseParts<S>, width>>;

/// The model that acts as `student` does, with the same bits, without the outputs that are not for actions.
template <std::floating_point S, int width>
[[nodiscard]] CausalTransformer<S> without_extra_outputs(const HintedTransformer<S, width>& student) {
  CausalTransformer<S> model{student.config, student.layout};
  model.embedding = student.embedding;
  model.blocks = student.blocks;
  model.final_norm = student.final_norm;
  model.head.weight = student.head.weight.leftCols(model.head.output_size());
  model.head.bias = student.head.bias.leftCols(model.head.output_size());
  return model;
}

/// How a student learns from a teacher's outputs and hidden states.
struct HiddenLabelConfig {
  SoftLabelConfig labels{};  ///< of the outputs for actions; `mix` must not be 0, because that runs no teacher
  double hint = 1;           ///< weight of the squared difference between hidden states, at least 0
  double relation = 0;       ///< weight of the divergence between the relations of steps, at least 0
};

/// Throws Error naming the first invalid value.
inline void validate(const HiddenLabelConfig& config) {
  validate(config.labels);
  if (config.labels.mix == 0) fail("hidden labels: labels.mix is 0, but the teacher has to be run");
  if (!(config.hint >= 0 && config.hint < HUGE_VAL && config.relation >= 0 && config.relation < HUGE_VAL)) {
    fail("hidden labels: hint is {} and relation is {}, both must be finite and not negative", config.hint,
         config.relation);
  }
}

/// Knowledge distillation from hidden states, beside soft labels: an objective of training for a HintedTransformer.
///
/// With e_t the student's extra outputs and h_t the teacher's hidden state after its last norm, a window's loss is that
/// of SoftLabels and, summed over labeled rows t with their weights,
///
/// - hint * |e_t - h_t|² / size(h_t), hints of Romero et al. (2015), arXiv 1412.6550. It needs as many extra outputs as
///   the teacher is wide.
/// - relation * KL(r_t || q_t), where r_t = softmax over s < t of h_t·h_s / sqrt(size(h_t)), and q_t is the same of e:
///   relations between steps as in Wang et al. (2020), arXiv 2002.10957, of hidden states in place of attention's
///   parts. Any number of extra outputs will do.
template <Trainable Teacher>
requires requires(const typename Teacher::Cache& cache) { cache.ends.normed; }
class HiddenLabels {
public:
  static constexpr bool reads_windows = true;  ///< the teacher does, so a trainer may not mask their rows

  /// The teacher must outlive it, and keep its weights. Throws Error as SoftLabels does, and for invalid weights.
  explicit HiddenLabels(const Teacher& teacher, const HiddenLabelConfig& config = {})
      : labels_{teacher, config.labels}, config_{checked(config)} {}
  explicit HiddenLabels(const Teacher&&, const HiddenLabelConfig& = {}) = delete;

  /// Memory of one thread; sized by the first window.
  struct Scratch {
    typename SoftLabels<Teacher>::Scratch labels;  ///< holds the teacher's hidden states
    Matrix<double> relations;                      ///< (2, T) of one step, the teacher's and the student's
  };

  /// The configuration that was given.
  [[nodiscard]] const HiddenLabelConfig& config() const { return config_; }
  [[nodiscard]] std::string describe() const {
    return fmt::format("{}, hidden states, hint {}, relation {}", labels_.describe(), config_.hint, config_.relation);
  }

  /// See Objective. Throws Error as SoftLabels does, and for a student without extra outputs, or with another number of
  /// them than the teacher is wide where `hint` is not 0.
  template <SequenceModel Student>
  double loss(const Student& student, const ContextBatch& batch, int window, MatrixIn<typename Student::Scalar> outputs,
              MatrixOut<typename Student::Scalar> doutputs, Scratch& scratch) const {
    const Index steps = outputs.rows(), first = student.actions.parameter_count(), extra = outputs.cols() - first;
    const Index width = labels_.teacher().config.width;
    if (extra == 0) fail("hidden labels: the student has no extra outputs (it should be a HintedTransformer)");
    if (config_.hint > 0 && extra != width) {
      fail("hidden labels: the student has {} extra outputs, but the teacher's hidden states have {} numbers", extra,
           width);
    }
    double loss = labels_.loss(student, batch, window, outputs, doutputs, scratch.labels);
    const auto wanted = hidden_states(scratch.labels).topRows(steps);
    const auto found = outputs.rightCols(extra);
    const auto weights = batch.weights_of(window);
    if (config_.hint > 0) {
      for (Index t = 0; t < steps; ++t) {
        const double share =
            config_.hint * static_cast<double>(weights[static_cast<std::size_t>(t)]) / static_cast<double>(width);
        if (share == 0) continue;
        for (Index i = 0; i < width; ++i) {
          const double difference = static_cast<double>(found(t, i)) - static_cast<double>(wanted(t, i));
          loss += share * difference * difference;
          doutputs(t, first + i) += static_cast<typename Student::Scalar>(2 * share * difference);
        }
      }
    }
    if (config_.relation > 0) {
      reserve_rows(scratch.relations, 2, batch.context);
      const std::span<double> of_teacher{row_data(scratch.relations, 0), static_cast<std::size_t>(steps)},
          of_student{row_data(scratch.relations, 1), static_cast<std::size_t>(steps)};
      const double scale = 1 / std::sqrt(static_cast<double>(extra));
      for (Index t = 1; t < steps; ++t) {
        const double share = config_.relation * static_cast<double>(weights[static_cast<std::size_t>(t)]);
        if (share == 0) continue;
        relations_of(wanted, t, of_teacher);
        relations_of(found, t, of_student);
        for (Index s = 0; s < t; ++s) {
          const auto i = static_cast<std::size_t>(s);
          const double probability = std::exp(of_teacher[i]);
          loss += share * probability * (of_teacher[i] - of_student[i]);
          const auto dscore =
              static_cast<typename Student::Scalar>(share * scale * (std::exp(of_student[i]) - probability));
          doutputs.row(t).rightCols(extra) += dscore * found.row(s);
          doutputs.row(s).rightCols(extra) += dscore * found.row(t);
        }
      }
    }
    return loss;
  }

private:
  [[nodiscard]] static const HiddenLabelConfig& checked(const HiddenLabelConfig& config) {
    validate(config);
    return config;
  }

  /// Of the pass that gave the last soft labels, one row per step.
  [[nodiscard]] const auto& hidden_states(const typename SoftLabels<Teacher>::Scratch& scratch) const {
    if constexpr (HasBf16Pass<Teacher>) {
      if (labels_.config().products == Products::bfloat16) return scratch.bf16_cache.ends.normed;
    }
    return scratch.cache.ends.normed;
  }

  /// Number s = 0 .. t - 1 of `logs` becomes the logarithm of the softmax of states t·s / sqrt(size).
  template <typename States>
  static void relations_of(const States& states, Index t, std::span<double> logs) {
    const double scale = 1 / std::sqrt(static_cast<double>(states.cols()));
    const std::span<double> row = logs.first(static_cast<std::size_t>(t));
    for (Index s = 0; s < t; ++s)
      row[static_cast<std::size_t>(s)] = scale * static_cast<double>(states.row(t).dot(states.row(s)));
    const double largest = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (const double score : row) sum += std::exp(score - largest);
    for (double& score : row) score -= largest + std::log(sum);
  }

  SoftLabels<Teacher> labels_;
  HiddenLabelConfig config_;
};

}  // namespace icrl
