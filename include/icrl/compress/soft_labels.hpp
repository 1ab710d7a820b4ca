// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <icrl/compress/action_divergence.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/model/bf16_transformer.hpp>
#include <icrl/model/fingerprint.hpp>
#include <icrl/train/distil_trainer.hpp>

namespace icrl {

/// How a student learns from a teacher's outputs.
struct SoftLabelConfig {
  double temperature = 1;  ///< of both distributions
  double mix = 1;          ///< share of the divergence from the teacher; the rest is the label's cross-entropy
  double beta = 0;         ///< 0: forward KL, 1: reverse KL, between: Jensen-Shannon, see ActionDivergence
  Products products = Products::automatic;  ///< of the teacher's passes, as in DistilConfig
};

/// Throws Error naming the first invalid value.
inline void validate(const SoftLabelConfig& config) {
  validate(ActionDivergence{config.temperature, config.beta});
  if (!(config.mix >= 0 && config.mix <= 1)) fail("soft labels: mix is {}, it must lie in 0 .. 1", config.mix);
}

/// Knowledge distillation (Hinton et al., 2015): an objective of training by which a student follows the outputs of a
/// frozen teacher on the same window, mix * ActionDivergence + (1 - mix) * cross-entropy at every labeled row.
///
/// Teacher and student may differ in kind, shape, context and precision. Their step layouts must be equal, and the
/// student's windows must not be longer than the teacher's context.
template <Trainable Teacher>
class SoftLabels {
public:
  static constexpr bool reads_windows = true;  ///< the teacher does, so a trainer may not mask their rows

  /// The teacher must outlive it, and keep its weights. Throws Error for a configuration that is invalid, or impossible
  /// with the teacher's actions or products.
  explicit SoftLabels(const Teacher& teacher, const SoftLabelConfig& config = {})
      : teacher_{&teacher}, config_{config}, divergence_{config.temperature, config.beta} {
    validate(config_);
    if (teacher.actions.id_counts().empty() && config.beta != 0 && config.beta != 1) {
      fail("soft labels: beta is {}, but between Gaussians only 0 (forward KL) and 1 (reverse KL) have a closed form",
           config.beta);
    }
    config_.products = detail::used_products(teacher, config.products);
    if constexpr (HasBf16Pass<Teacher>) {
      if (config_.products == Products::bfloat16) {
        auto pass = std::make_shared<Bf16>(teacher);
        pass->pack();
        bf16_ = std::move(pass);
      }
    }
    description_ = fmt::format("soft labels, temperature {}, mix {}, beta {}, products {}, of {}", config_.temperature,
                               config_.mix, config_.beta, to_string(config_.products), fingerprint(teacher));
  }
  explicit SoftLabels(const Teacher&&, const SoftLabelConfig& = {}) = delete;

  /// Memory of one thread; sized by the first window.
  struct Scratch {
    typename Teacher::Cache cache;                               ///< of the teacher's pass in full precision
    typename detail::Bf16PassOrNone<Teacher>::Cache bf16_cache;  ///< of its pass in bfloat16
    Matrix<typename Teacher::Scalar> outputs;                    ///< (T, P) of the teacher
    std::vector<float> rows;                                     ///< (T, F) of a window with images
    ActionDivergence::Scratch divergence;                        ///< of the divergence
  };

  /// The model whose outputs are followed; it is not owned.
  [[nodiscard]] const Teacher& teacher() const { return *teacher_; }
  /// The configuration, with the choice that was made in place of automatic products.
  [[nodiscard]] const SoftLabelConfig& config() const { return config_; }
  [[nodiscard]] std::string describe() const { return description_; }

  /// See Objective. Outputs of the student that are not for actions are not trained. Throws Error, before anything is
  /// changed, for a student with another step layout, and for windows that are longer than the teacher's context.
  template <SequenceModel Student>
  double loss(const Student& student, const ContextBatch& batch, int window, MatrixIn<typename Student::Scalar> outputs,
              MatrixOut<typename Student::Scalar> doutputs, Scratch& scratch) const {
    using S = typename Student::Scalar;
    using T = typename Teacher::Scalar;
    check_student(student, batch.context);
    const Index steps = outputs.rows();
    if (config_.mix > 0) run_teacher(batch, window, static_cast<int>(steps), scratch);
    const auto action_size = static_cast<std::size_t>(batch.action_size),
               width = static_cast<std::size_t>(student.actions.parameter_count());
    const auto labels = batch.actions_of(window), weights = batch.weights_of(window);
    double loss = 0;
    for (Index t = 0; t < steps; ++t) {
      const auto row = static_cast<std::size_t>(t);
      const std::span<const S> found{row_data(outputs, t), width};
      const std::span<S> derivative{row_data(doutputs, t), width};
      std::fill_n(derivative.end(), doutputs.cols() - static_cast<Index>(width), S(0));  // outputs not for actions
      const auto weight = static_cast<double>(weights[row]);
      if (weight == 0 || config_.mix == 1) std::ranges::fill(derivative, S(0));
      if (weight == 0) continue;
      if (config_.mix < 1) {
        loss += static_cast<double>(
            student.actions.template loss_and_gradient<S>(found, labels.subspan(row * action_size, action_size), S(0),
                                                          static_cast<S>((1 - config_.mix) * weight), derivative));
      }
      if (config_.mix > 0) {
        const std::span<const T> wanted{row_data(scratch.outputs, t), width};
        const double share = config_.mix * weight;
        loss += share *
                divergence_.add_gradient<T, S>(student.actions, wanted, found, share, derivative, scratch.divergence);
      }
    }
    return loss;
  }

private:
  using Bf16 = detail::Bf16PassOrNone<Teacher>;

  template <SequenceModel Student>
  void check_student(const Student& student, int context) const {
    if (const std::string differ = difference(teacher_->layout, student.layout); !differ.empty())
      fail("soft labels: the teacher's step layout differs from the student's: {}", differ);
    if (const std::optional<int> max = teacher_->max_window(); max && context > *max) {
      fail("soft labels: windows have {} steps, but the teacher's context is {} (shorten the windows)", context, *max);
    }
    if (!HasWindowStart<Student>) return;
    if (window_start_of(*teacher_) == WindowStart::episode && window_start_of(student) == WindowStart::anywhere) {
      fail("soft labels: the teacher's training windows start {}, but the student's start {}",
           to_string(WindowStart::episode), to_string(WindowStart::anywhere));
    }
  }

  void run_teacher(const ContextBatch& batch, int window, int steps, Scratch& scratch) const {
    const auto features = batch.rows_of(window, scratch.rows);
    reserve_rows(scratch.outputs, batch.context, output_count_of(*teacher_));
    if constexpr (HasBf16Pass<Teacher>) {
      if (bf16_) return bf16_->forward(features, steps, scratch.bf16_cache, scratch.outputs.topRows(steps));
    }
    teacher_->forward(features, steps, scratch.cache, scratch.outputs.topRows(steps));
  }

  const Teacher* teacher_;
  SoftLabelConfig config_;
  ActionDivergence divergence_;
  std::shared_ptr<const Bf16> bf16_;  // if the teacher's products are in bfloat16; shared by copies
  std::string description_;
};

namespace detail {

/// An objective with an addition to its description, so that checkpoints of different runs are told apart.
template <typename O>
struct DescribedObjective {
  using Scratch = typename O::Scratch;
  static constexpr bool reads_windows = O::reads_windows;

  O objective;
  std::string more;

  template <SequenceModel M>
  double loss(const M& model, const ContextBatch& batch, int window, MatrixIn<typename M::Scalar> outputs,
              MatrixOut<typename M::Scalar> doutputs, Scratch& scratch) const {
    return objective.loss(model, batch, window, outputs, doutputs, scratch);
  }
  [[nodiscard]] std::string describe() const { return objective.describe() + "; " + more; }
};

}  // namespace detail

}  // namespace icrl
