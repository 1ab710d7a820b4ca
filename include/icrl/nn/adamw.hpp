// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

#include <icrl/core/assert.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/math/packet.hpp>
#include <icrl/math/square_root.hpp>
#include <icrl/nn/parameters.hpp>
#include <icrl/nn/weight_chunks.hpp>

namespace icrl {

/// One update by Adam with decoupled weight decay (Loshchilov and Hutter, 2019, algorithm 2) of a contiguous array of
/// weights.
template <std::floating_point S>
struct AdamWUpdate {
  S rate, beta1, beta2, epsilon;  ///< learning rate, decay rates of both moments, and what is added to the divisor
  S decay;                        ///< weight decay; 0 for all but matrices
  S gradient_scale;               ///< the gradient is multiplied by this first: averaging and clipping
  S mean_bias, deviation_bias;    ///< 1 - beta1^n and sqrt(1 - beta2^n), for the n-th update

  /// Overwrites `weights`, `mean` and `variance`. All four have one length.
  ///   g = scale * gradient,  m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
  ///   w = (1 - rate decay) w - rate (m / mean_bias) / (sqrt(v) / deviation_bias + epsilon)
  void apply(std::span<const S> gradient, std::span<S> weights, std::span<S> mean, std::span<S> variance) const {
    ICRL_ASSERT(gradient.size() == weights.size() && mean.size() == weights.size() && variance.size() == weights.size(),
                "AdamW: gradient, mean and variance must be as long as weights");
    const auto size = static_cast<Index>(weights.size());
    constexpr Index step = detail::lanes<S>;
    Index i = 0;
    for (; i + step <= size; i += step) {
      Numbers n{detail::load(gradient.data() + i), detail::load(weights.data() + i), detail::load(mean.data() + i),
                detail::load(variance.data() + i)};
      apply(n);
      detail::store(weights.data() + i, n.w);
      detail::store(mean.data() + i, n.m);
      detail::store(variance.data() + i, n.v);
    }
    if (i == size) return;
    const auto rest = [&](const S* from) { return detail::load_first(from + i, size - i); };
    Numbers n{rest(gradient.data()), rest(weights.data()), rest(mean.data()), rest(variance.data())};
    apply(n);
    detail::store_first(weights.data() + i, n.w, size - i);
    detail::store_first(mean.data() + i, n.m, size - i);
    detail::store_first(variance.data() + i, n.v, size - i);
  }

  /// The same for a chunk of a model, which decays only if it belongs to a matrix.
  void apply(std::span<const S> gradient, const WeightChunk<S>& chunk, std::span<S> mean, std::span<S> variance) const {
    AdamWUpdate update = *this;
    if (!chunk.is_matrix) update.decay = 0;
    update.apply(gradient, chunk.weights, mean, variance);
  }

private:
  struct Numbers {
    detail::Packet<S> g, w, m, v;
  };

  void apply(Numbers& n) const {
    const detail::Packet<S> scaled = gradient_scale * n.g;  // first: a clipped gradient's square is no overflow
    n.m = beta1 * n.m + ((S(1) - beta1) * gradient_scale) * n.g;
    n.v = beta2 * n.v + (S(1) - beta2) * (scaled * scaled);
    const detail::Packet<S> divisor = detail::square_root<S>(n.v) * (S(1) / deviation_bias) + epsilon;
    n.w = (S(1) - rate * decay) * n.w - (rate / mean_bias) * n.m / divisor;
  }
};

/// The hyperparameters of AdamW (Loshchilov and Hutter, 2019).
struct AdamWConfig {
  double learning_rate = 1e-3;                        ///< rate of `step` without a rate of its own
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  ///< decay rates of both moments, and what is added to the divisor
  double weight_decay = 0;                            ///< of matrices; vectors (gains, biases) are not decayed
  double max_gradient_norm = 0;                       ///< a gradient of a larger norm is scaled down to it; 0 = any
};

/// Throws Error naming the first value out of its range.
inline void validate(const AdamWConfig& config) {
  constexpr double max = std::numeric_limits<double>::max(), min = std::numeric_limits<double>::min();
  const auto check = [](const char* name, double value, double low, double high) {
    if (!(value >= low && value <= high)) fail("AdamW: {} is {}, it must lie in {} .. {}", name, value, low, high);
  };
  constexpr double below_one = 1 - 1e-12;
  check("learning_rate", config.learning_rate, 0, max);
  check("beta1", config.beta1, 0, below_one);
  check("beta2", config.beta2, 0, below_one);
  check("epsilon", config.epsilon, min, max);
  check("weight_decay", config.weight_decay, 0, max);
  check("max_gradient_norm", config.max_gradient_norm, 0, max);
}

/// AdamW as an object: owns the moments and the number of updates, for any type that lists its weights. Frozen weights
/// have no moments and are not changed. A copy is independent.
template <Parameterized M>
class AdamW {
public:
  using Scalar = ParameterScalar<M>;

  /// For models of the shape of `model`. Throws Error for an invalid configuration.
  AdamW(const M& model, const AdamWConfig& config) : config_{config}, mean_{model}, variance_{model} {
    validate(config);
    check_representable(config);
    for (M* moment : {&mean_, &variance_}) {
      release_frozen(*moment);
      set_zero(*moment);
    }
  }

  /// One update at the configured learning rate. Returns the gradient's norm before clipping. Throws Error, with
  /// nothing changed, if that is not finite.
  double step(M& model, const M& gradient) { return step(model, gradient, config_.learning_rate); }
  /// The same at another learning rate, for schedules. Throws Error for one that is not finite or negative, or whose
  /// product with the weight decay is above 1.
  double step(M& model, const M& gradient, double learning_rate) {
    check_rate(learning_rate, config_.weight_decay);
    const auto gradients = weight_chunks<const Scalar>(gradient);
    double squares = 0;
    for (const auto& chunk : gradients) squares += detail::sum_of_squares<Scalar>(chunk.weights);
    const double norm = std::sqrt(squares);
    if (!std::isfinite(norm)) {
      fail(
          "AdamW: the gradient of update {} has the norm {}; the weights are unchanged (is the learning rate {} too high?)",
          step_count_ + 1, norm, learning_rate);
    }
    const auto weights = weight_chunks<Scalar>(model), means = weight_chunks<Scalar>(mean_),
               variances = weight_chunks<Scalar>(variance_);
    ICRL_ASSERT(weights.size() == means.size() && gradients.size() == means.size(),
                "AdamW: model and gradient must have the shape that the optimizer was made for");
    const AdamWUpdate<Scalar> update = next_update(learning_rate, clip_factor(norm));
    for (std::size_t i = 0; i < weights.size(); ++i)
      update.apply(gradients[i].weights, weights[i], means[i].weights, variances[i].weights);
    return norm;
  }

  /// The factor by which a gradient of this norm is clipped.
  [[nodiscard]] double clip_factor(double norm) const {
    return config_.max_gradient_norm > 0 && norm > config_.max_gradient_norm ? config_.max_gradient_norm / norm : 1.0;
  }

  /// Counts an update and returns its parameters, for callers that apply it to the chunks of weights and moments
  /// themselves, on several threads. The gradient is multiplied by `gradient_scale` first.
  [[nodiscard]] AdamWUpdate<Scalar> next_update(double learning_rate, double gradient_scale) {
    ++step_count_;
    return {.rate = Scalar(learning_rate),
            .beta1 = Scalar(config_.beta1),
            .beta2 = Scalar(config_.beta2),
            .epsilon = Scalar(config_.epsilon),
            .decay = Scalar(config_.weight_decay),
            .gradient_scale = Scalar(gradient_scale),
            .mean_bias = Scalar(1 - std::pow(config_.beta1, step_count_)),
            .deviation_bias = Scalar(std::sqrt(1 - std::pow(config_.beta2, step_count_)))};
  }

  /// The hyperparameters, without a rate that a call of `step` gives.
  [[nodiscard]] const AdamWConfig& config() const { return config_; }
  /// Updates done.
  [[nodiscard]] int step_count() const { return step_count_; }
  /// The moving average of the gradients.
  [[nodiscard]] const M& mean() const { return mean_; }
  /// The moving average of the squared gradients.
  [[nodiscard]] const M& variance() const { return variance_; }
  /// To be changed in place, chunk by chunk; see `next_update`.
  [[nodiscard]] M& mean() { return mean_; }
  /// As `mean`.
  [[nodiscard]] M& variance() { return variance_; }

  /// Goes on where another optimizer was. Numbers are copied, so that chunks of the moments stay valid.
  void restore(const M& mean, const M& variance, int step_count) {
    copy_weights(mean, mean_);
    copy_weights(variance, variance_);
    step_count_ = step_count;
  }

private:
  /// A rate that overflows the model's precision, or decays weights by more than all of them, destroys them.
  static void check_rate(double rate, double weight_decay) {
    constexpr auto most = static_cast<double>(std::numeric_limits<Scalar>::max());
    if (!(rate >= 0 && rate <= most))
      fail("AdamW: the learning rate is {}, for this model it must lie in 0 .. {}", rate, most);
    if (!(rate * weight_decay <= 1))
      fail("AdamW: learning rate {} times weight decay {} is {}, it can be at most 1", rate, weight_decay,
           rate * weight_decay);
  }
  /// Values that are valid in double may overflow or underflow in the model's precision.
  static void check_representable(const AdamWConfig& config) {
    check_rate(config.learning_rate, config.weight_decay);
    if (Scalar(config.epsilon) == 0) fail("AdamW: epsilon {} rounds to 0 in this model's precision", config.epsilon);
    if (Scalar(config.beta1) == 1 || Scalar(config.beta2) == 1)
      fail("AdamW: beta1 is {} and beta2 is {}; one of them rounds to 1 in this model's precision", config.beta1,
           config.beta2);
  }

  AdamWConfig config_;
  M mean_, variance_;
  int step_count_ = 0;
};

}  // namespace icrl
