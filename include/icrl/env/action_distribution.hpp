// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <span>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/decoding.hpp>
#include <icrl/env/space.hpp>

namespace icrl {

/// Interprets the outputs of a network's head as a distribution over actions: for ids, one softmax per component; for a
/// Box of n numbers, a diagonal Gaussian given by n means and then n logarithms of standard deviations.
class ActionDistribution {
public:
  /// The space must be valid. `Discrete` and `MultiDiscrete` give softmaxes, a `Box` a Gaussian.
  explicit ActionDistribution(const Space& action_space) : id_counts_{icrl::id_counts(action_space)} {
    if (const auto* box = std::get_if<Box>(&action_space)) box_ = *box;
  }

  /// Number of outputs that the head must have.
  [[nodiscard]] int parameter_count() const {
    int count = 2 * static_cast<int>(box_.low.size());
    for (const int ids : id_counts_) count += ids;
    return count;
  }
  /// Number of values in one action.
  [[nodiscard]] int action_size() const {
    return static_cast<int>(id_counts_.empty() ? box_.low.size() : id_counts_.size());
  }

  /// Ids of each component of an action; empty for a Box.
  [[nodiscard]] std::span<const int> id_counts() const { return id_counts_; }

  /// How a Gaussian's log standard deviation is read: clipped to -7 .. 3, standard deviations of e^-7 to e^3, as in
  /// other libraries.
  template <typename S>
  [[nodiscard]] static S clipped_log_deviation(S output) {
    return std::clamp(output, static_cast<S>(least_log_deviation), static_cast<S>(most_log_deviation));
  }

  /// -log p(action). With label smoothing a (ids only): (1 - a) times that plus a times the mean over all ids (Szegedy
  /// et al., 2016, section 7).
  template <typename S>
  [[nodiscard]] S loss(std::span<const S> outputs, std::span<const float> action, S label_smoothing) const {
    return loss_and_gradient<S>(outputs, action, label_smoothing, S(1), {});
  }

  /// Returns `weight` times the loss. Overwrites doutputs, unless it is empty, with the derivative. Per softmax: weight
  /// * (p - target). Per Gaussian number with z = (action - mean) / stddev: dmean = -weight * z / stddev,
  /// dlog_deviation = weight * (1 - z^2).
  template <typename S>
  S loss_and_gradient(std::span<const S> outputs, std::span<const float> action, S label_smoothing, S weight,
                      std::span<S> doutputs) const {
    ICRL_ASSERT(outputs.size() == static_cast<std::size_t>(parameter_count()),
                "action distribution: outputs must have parameter_count() numbers");
    return weight * (id_counts_.empty() ? gaussian_loss(outputs, action, weight, doutputs)
                                        : categorical_loss(outputs, action, label_smoothing, weight, doutputs));
  }

  /// Entropy of the actions in nats: the sum over components of -sum_k p_k log p_k, or over numbers of log_deviation +
  /// log(2 pi e) / 2 (before clipping to the box).
  template <typename S>
  [[nodiscard]] S entropy(std::span<const S> outputs) const {
    return add_entropy_gradient<S>(outputs, S(0), {});
  }

  /// Adds `weight` times the derivative of the entropy to doutputs, unless it is empty, and returns the entropy.
  /// Derivative per softmax with entropy h: -p_k (log p_k + h); per log_deviation: 1, or 0 outside its bounds.
  template <typename S>
  S add_entropy_gradient(std::span<const S> outputs, S weight, std::span<S> doutputs) const {
    ICRL_ASSERT(outputs.size() == static_cast<std::size_t>(parameter_count()),
                "action distribution: outputs must have parameter_count() numbers");
    return id_counts_.empty() ? gaussian_entropy(outputs, weight, doutputs)
                              : categorical_entropy(outputs, weight, doutputs);
  }

  /// Samples an action. Ids: from the softmax of outputs / temperature, without ids below min_p. Numbers: with the
  /// standard deviation times the temperature, clipped to the box. Temperature 0 takes the likeliest action (the lowest
  /// id among equals) and draws no random number. `allowed`, unless empty, has one byte per action of a Discrete space,
  /// 0 = forbidden; at least one must be allowed.
  template <typename S>
  void sample(std::span<const S> outputs, const Decoding& decoding, std::span<const std::uint8_t> allowed, Rng& rng,
              std::span<float> action) const {
    ICRL_ASSERT(allowed.empty() || (id_counts_.size() == 1 && allowed.size() == outputs.size()),
                "masks need Discrete actions");
    if (id_counts_.empty()) return sample_gaussian(outputs, decoding.temperature, rng, action);
    std::size_t first = 0;
    for (std::size_t i = 0; i < id_counts_.size(); ++i) {
      const auto count = static_cast<std::size_t>(id_counts_[i]);
      action[i] = static_cast<float>(sample_id(outputs.subspan(first, count), decoding, allowed, rng));
      first += count;
    }
  }

private:
  static constexpr double least_log_deviation = -7, most_log_deviation = 3;

  template <typename S>
  S categorical_loss(std::span<const S> outputs, std::span<const float> action, S smoothing, S weight,
                     std::span<S> doutputs) const {
    S total = 0;
    std::size_t first = 0;
    for (std::size_t i = 0; i < id_counts_.size(); ++i) {
      const auto count = static_cast<std::size_t>(id_counts_[i]);
      const auto logits = outputs.subspan(first, count);
      const auto label = static_cast<std::size_t>(action[i]);
      ICRL_ASSERT(label < count, "action distribution: the label is not a valid action");
      const S most = *std::max_element(logits.begin(), logits.end());
      S sum = 0, mean = 0;
      for (const S logit : logits) {
        sum += std::exp(logit - most);
        mean += logit / static_cast<S>(count);
      }
      const S log_sum = most + std::log(sum);
      total += log_sum - (S(1) - smoothing) * logits[label] - smoothing * mean;
      for (std::size_t k = 0; k < count && !doutputs.empty(); ++k) {
        const S target = smoothing / static_cast<S>(count) + (k == label ? S(1) - smoothing : S(0));
        doutputs[first + k] = weight * (std::exp(logits[k] - log_sum) - target);
      }
      first += count;
    }
    return total;
  }

  template <typename S>
  S gaussian_loss(std::span<const S> outputs, std::span<const float> action, S weight, std::span<S> doutputs) const {
    const std::size_t size = box_.low.size();
    S total = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const S raw = outputs[size + i];
      const S log_deviation = clipped_log_deviation(raw);
      const S inverse = std::exp(-log_deviation), z = (static_cast<S>(action[i]) - outputs[i]) * inverse;
      total += S(0.5) * z * z + log_deviation + S(0.5) * std::log(S(2) * std::numbers::pi_v<S>);
      if (doutputs.empty()) continue;
      doutputs[i] = -weight * z * inverse;
      doutputs[size + i] = raw == log_deviation ? weight * (S(1) - z * z) : S(0);
    }
    return total;
  }

  template <typename S>
  S categorical_entropy(std::span<const S> outputs, S weight, std::span<S> doutputs) const {
    S total = 0;
    std::size_t first = 0;
    for (const int ids : id_counts_) {
      const auto count = static_cast<std::size_t>(ids);
      const auto logits = outputs.subspan(first, count);
      const S max = *std::max_element(logits.begin(), logits.end());
      S sum = 0;
      for (const S logit : logits) sum += std::exp(logit - max);
      const S log_sum = max + std::log(sum);
      S entropy = 0;
      for (const S logit : logits) entropy -= std::exp(logit - log_sum) * (logit - log_sum);
      for (std::size_t k = 0; k < count && !doutputs.empty(); ++k) {
        const S log_p = logits[k] - log_sum;
        doutputs[first + k] -= weight * std::exp(log_p) * (log_p + entropy);
      }
      total += entropy;
      first += count;
    }
    return total;
  }

  template <typename S>
  S gaussian_entropy(std::span<const S> outputs, S weight, std::span<S> doutputs) const {
    const std::size_t size = box_.low.size();
    S total = 0;
    for (std::size_t i = size; i < 2 * size; ++i) {
      const S raw = outputs[i];
      const S log_deviation = clipped_log_deviation(raw);
      total += log_deviation + S(0.5) * (S(1) + std::log(S(2) * std::numbers::pi_v<S>));
      if (!doutputs.empty() && raw == log_deviation) doutputs[i] += weight;
    }
    return total;
  }

  template <typename S>
  static std::size_t sample_id(std::span<const S> logits, const Decoding& decoding,
                               std::span<const std::uint8_t> allowed, Rng& rng) {
    const auto is_allowed = [&](std::size_t k) { return allowed.empty() || allowed[k] != 0; };
    std::size_t best = logits.size();
    for (std::size_t k = 0; k < logits.size(); ++k)
      if (is_allowed(k) && (best == logits.size() || logits[k] > logits[best])) best = k;
    ICRL_ASSERT(best < logits.size(), "the action mask allows no action");
    if (decoding.temperature == 0) return best;
    const auto weight_of = [&](std::size_t k) {
      const double weight =
          is_allowed(k) ? std::exp(static_cast<double>(logits[k] - logits[best]) / decoding.temperature) : 0.0;
      return weight < decoding.min_p ? 0.0 : weight;  // the likeliest id has weight 1
    };
    double total = 0;
    for (std::size_t k = 0; k < logits.size(); ++k) total += weight_of(k);
    double left = rng.uniform() * total;
    for (std::size_t k = 0; k < logits.size(); ++k) {
      left -= weight_of(k);
      if (left < 0 && weight_of(k) > 0) return k;
    }
    return best;
  }

  template <typename S>
  void sample_gaussian(std::span<const S> outputs, double temperature, Rng& rng, std::span<float> action) const {
    const std::size_t size = box_.low.size();
    for (std::size_t i = 0; i < size; ++i) {
      const double log_deviation = clipped_log_deviation(static_cast<double>(outputs[size + i]));
      const double noise = temperature == 0 ? 0.0 : temperature * std::exp(log_deviation) * rng.normal();
      // In double, because a float would overflow first; an action is finite even if its bounds are not.
      const double low = static_cast<double>(std::max(box_.low[i], std::numeric_limits<float>::lowest())),
                   high = static_cast<double>(std::min(box_.high[i], std::numeric_limits<float>::max()));
      action[i] = static_cast<float>(std::clamp(static_cast<double>(outputs[i]) + noise, low, high));
    }
  }

  std::vector<int> id_counts_;  // per component of the action; empty for a Box
  Box box_;                     // bounds of the action's numbers; empty for ids
};

}  // namespace icrl
