// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
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
/// - relation * KL(r_t || q_t), where r_t = softmax over s <= t of h_t·h_s / sqrt(size(h_t)), and q_t is the same of e:
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
    typename SoftLabels<Teacher>::Scratch labels;       ///< holds the teacher's hidden states
    Matrix<double> wanted, found, wanted_of, found_of;  ///< hidden states, and their relations (T, T)
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
    scratch.wanted = hidden_states(scratch.labels).topRows(steps).template cast<double>();
    scratch.found = outputs.rightCols(extra).template cast<double>();
    const auto weights = batch.weights_of(window);
    const auto add = [&](Index row, const auto& gradient) {
      doutputs.row(row).rightCols(extra) += gradient.template cast<typename Student::Scalar>();
    };
    if (config_.hint > 0) {
      for (Index t = 0; t < steps; ++t) {
        const double share =
            config_.hint * static_cast<double>(weights[static_cast<std::size_t>(t)]) / static_cast<double>(width);
        if (share == 0) continue;
        const auto difference = (scratch.found.row(t) - scratch.wanted.row(t)).eval();
        loss += share * difference.squaredNorm();
        add(t, (2 * share * difference).eval());
      }
    }
    if (config_.relation > 0) {
      relations_of(scratch.wanted, scratch.wanted_of);
      relations_of(scratch.found, scratch.found_of);
      const double scale = 1 / std::sqrt(static_cast<double>(extra));
      for (Index t = 0; t < steps; ++t) {
        const double share = config_.relation * static_cast<double>(weights[static_cast<std::size_t>(t)]);
        if (share == 0) continue;
        const Index count = t + 1;
        const auto wanted = scratch.wanted_of.row(t).leftCols(count), found = scratch.found_of.row(t).leftCols(count);
        loss += share * (wanted.array().exp() * (wanted - found).array()).sum();
        const auto dscores = (share * scale * (found.array().exp() - wanted.array().exp())).matrix().eval();
        add(t, (dscores * scratch.found.topRows(count)).eval());
        for (Index s = 0; s < count; ++s) add(s, (dscores(s) * scratch.found.row(t)).eval());
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

  /// Row t of `logs` gets, for s = 0 .. t, the logarithm of the softmax of states t·s / sqrt(size).
  static void relations_of(const Matrix<double>& states, Matrix<double>& logs) {
    logs = states * states.transpose() / std::sqrt(static_cast<double>(states.cols()));
    for (Index t = 0; t < logs.rows(); ++t) {
      auto row = logs.row(t).leftCols(t + 1);
      const double largest = row.maxCoeff();
      row.array() -= largest + std::log((row.array() - largest).exp().sum());
    }
  }

  SoftLabels<Teacher> labels_;
  HiddenLabelConfig config_;
};

}  // namespace icrl
