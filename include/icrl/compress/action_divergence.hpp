// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/env/action_distribution.hpp>

namespace icrl {

/// How far a student's distribution over actions Q is from a teacher's P, both softened by the temperature T.
///
/// With M = beta P + (1 - beta) Q, it is T^2 [beta KL(P || M) + (1 - beta) KL(Q || M)] / (beta (1 - beta)), summed over
/// the components of an action. The brackets hold the generalized Jensen-Shannon divergence of Agarwal et al. (2024,
/// equation 1); the divisor makes it continuous in beta, with KL(P || Q) at 0 and KL(Q || P) at 1, and keeps the size
/// of its gradient where P and Q are close. T^2 keeps that over temperatures (Hinton et al., 2015, section 2).
///
/// Softening takes a density to the power 1/T: it divides logits by T, and multiplies a Gaussian's variance by T.
/// Between Gaussians, only beta = 0 and beta = 1 have a closed form.
struct ActionDivergence {
  double temperature = 1;  ///< T, above 0
  double beta = 0;         ///< in 0 .. 1; 0 is the forward KL, 1 the reverse KL

  /// Memory of one thread.
  struct Scratch {
    std::vector<double> log_teacher, log_student;  ///< of one component's ids
  };

  /// The divergence between two rows of outputs in nats, at least 0. Adds `weight` times its derivative with respect to
  /// the student's outputs to `doutputs`, unless that is empty. Exactly 0, and so is the derivative, where both rows
  /// are equal.
  template <typename TeacherScalar, typename S>
  double add_gradient(const ActionDistribution& actions, std::span<const TeacherScalar> teacher,
                      std::span<const S> student, double weight, std::span<S> doutputs, Scratch& scratch) const {
    ICRL_ASSERT(
        teacher.size() == student.size() && student.size() == static_cast<std::size_t>(actions.parameter_count()),
        "action divergence: teacher and student must have parameter_count() outputs each");
    if (actions.id_counts().empty()) return gaussian<TeacherScalar, S>(teacher, student, weight, doutputs);
    double total = 0;
    std::size_t first = 0;
    for (const int ids : actions.id_counts()) {
      const auto count = static_cast<std::size_t>(ids);
      total += categorical<TeacherScalar, S>(teacher.subspan(first, count), student.subspan(first, count), weight,
                                             doutputs.empty() ? doutputs : doutputs.subspan(first, count), scratch);
      first += count;
    }
    return total;
  }

  /// Throws Error for a value out of its range.
  friend void validate(const ActionDivergence& divergence) {
    constexpr double least_temperature = 0.01, most_temperature = 100, least_beta = 1e-3;
    const double t = divergence.temperature, b = divergence.beta;
    if (!(t >= least_temperature && t <= most_temperature)) {
      fail("action divergence: temperature is {}, it must lie in {} .. {}", t, least_temperature, most_temperature);
    }
    if (!(b == 0 || b == 1 || (b >= least_beta && b <= 1 - least_beta)))
      fail("action divergence: beta is {}, it must be 0, 1, or lie in {} .. {}", b, least_beta, 1 - least_beta);
  }

private:
  /// log(M / Q) of one id, where d = log(P / Q). Exact for equal probabilities, finite for any d.
  [[nodiscard]] double log_mixture_ratio(double d) const {
    if (beta == 0 || beta == 1) return beta == 0 ? 0 : d;
    return d > 0 ? d + std::log1p((1 - beta) * std::expm1(-d)) : std::log1p(beta * std::expm1(d));
  }

  template <typename N>
  void log_softmax(std::span<const N> logits, std::vector<double>& log_p) const {
    log_p.resize(logits.size());
    const auto max = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
    double sum = 0;
    for (std::size_t k = 0; k < logits.size(); ++k) {
      log_p[k] = (static_cast<double>(logits[k]) - max) / temperature;
      sum += std::exp(log_p[k]);
    }
    const double log_sum = std::log(sum);
    for (double& value : log_p) value -= log_sum;
  }

  /// With r = log(M / Q), the derivative with respect to logit k is T q_k (sum_j q_j r_j - r_k) / beta, whose limit at
  /// beta = 0 is T (q_k - p_k).
  template <typename TeacherScalar, typename S>
  double categorical(std::span<const TeacherScalar> teacher, std::span<const S> student, double weight,
                     std::span<S> doutputs, Scratch& scratch) const {
    log_softmax(teacher, scratch.log_teacher);
    log_softmax(student, scratch.log_student);
    const std::vector<double>&log_p = scratch.log_teacher, &log_q = scratch.log_student;
    double of_teacher = 0, of_student = 0;  // KL(P || M) and KL(Q || M) = -sum_j q_j r_j
    for (std::size_t k = 0; k < log_p.size(); ++k) {
      const double d = log_p[k] - log_q[k], r = log_mixture_ratio(d);
      of_teacher += std::exp(log_p[k]) * (d - r);
      of_student -= std::exp(log_q[k]) * r;
    }
    for (std::size_t k = 0; k < log_p.size() && !doutputs.empty(); ++k) {
      const double q = std::exp(log_q[k]);
      const double slope =
          beta == 0 ? q - std::exp(log_p[k]) : q * (-of_student - log_mixture_ratio(log_p[k] - log_q[k])) / beta;
      doutputs[k] += static_cast<S>(weight * temperature * slope);
    }
    const double divergence = beta == 0   ? of_teacher
                              : beta == 1 ? of_student
                                          : (beta * of_teacher + (1 - beta) * of_student) / (beta * (1 - beta));
    return temperature * temperature * (divergence < 0 ? 0 : divergence);  // which rounding may do; NaN stays
  }

  /// KL of N(m1, s1^2) from N(m2, s2^2): log(s2 / s1) + (s1^2 + (m1 - m2)^2) / (2 s2^2) - 1/2.
  template <typename TeacherScalar, typename S>
  double gaussian(std::span<const TeacherScalar> teacher, std::span<const S> student, double weight,
                  std::span<S> doutputs) const {
    ICRL_ASSERT(beta == 0 || beta == 1, "action divergence: beta must be 0 or 1 for Gaussians");
    const std::size_t size = student.size() / 2;
    double total = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const auto raw = static_cast<double>(student[size + i]);
      const double log_p = ActionDistribution::clipped_log_deviation(static_cast<double>(teacher[size + i])),
                   log_q = ActionDistribution::clipped_log_deviation(raw);
      const double difference = static_cast<double>(student[i]) - static_cast<double>(teacher[i]);
      const double log_ratio = beta == 0 ? log_q - log_p : log_p - log_q;  // of the second deviation to the first
      const double variance = temperature * std::exp(2 * (beta == 0 ? log_q : log_p));  // of the second
      const double ratio = std::exp(-2 * log_ratio), distance = difference * difference / variance;
      total += log_ratio + (ratio + distance - 1) / 2;
      if (doutputs.empty()) continue;
      const double scale = weight * temperature * temperature;
      doutputs[i] += static_cast<S>(scale * difference / variance);
      const double slope = beta == 0 ? 1 - ratio - distance : ratio - 1;
      if (raw == log_q) doutputs[size + i] += static_cast<S>(scale * slope);
    }
    return temperature * temperature * (total < 0 ? 0 : total);
  }
};

}  // namespace icrl
