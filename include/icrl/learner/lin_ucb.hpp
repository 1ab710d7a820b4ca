// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/space.hpp>
#include <icrl/learner/arm_statistics.hpp>
#include <icrl/learner/learner.hpp>

namespace icrl {

/// How LinUCB weighs exploration.
struct LinUcbConfig {
  double exploration = 1;  ///< alpha: factor of an arm's uncertainty
  double ridge = 1;        ///< L2 penalty: the variance of rewards divided by the prior variance of weights
};

/// LinUCB with disjoint linear models (Li, Chu, Langford & Schapire, 2010, algorithm 1): for the context x, pulls the
/// arm with the largest w x + alpha sqrt(x A^-1 x), where A = ridge + the sum of x x^T over the arm's pulls and w =
/// A^-1 times the sum of reward x. Of equal arms it takes the first. A^-1 is kept and updated by rank one (Sherman &
/// Morrison, 1950), in double precision.
class LinUcb {
public:
  /// Contexts are observations of `features` numbers. Throws Error for a number outside its range.
  LinUcb(int features, int arms, const LinUcbConfig& config = {}) : features_{features}, config_{config} {
    constexpr int most_features = 4096, most_arms = 65535;
    if (features < 1 || features > most_features)
      fail("linucb: features is {}, it must lie in 1 .. {}", features, most_features);
    if (arms < 1 || arms > most_arms) fail("linucb: arms is {}, it must lie in 1 .. {}", arms, most_arms);
    constexpr std::int64_t max_numbers = 1 << 28;
    if (std::int64_t{features} * features * arms > max_numbers)
      fail("linucb: {} arms of {} features take {} numbers, at most {} are allowed", arms, features,
           std::int64_t{features} * features * arms, max_numbers);
    if (!(config.exploration >= 0 && std::isfinite(config.exploration)))
      fail("linucb: exploration is {}, it must be 0 or more", config.exploration);
    if (!(config.ridge >= 1e-6 && config.ridge <= 1e6))
      fail("linucb: ridge is {}, it must lie in [1e-6, 1e6]", config.ridge);
    const auto d = static_cast<std::size_t>(features);
    Model model{.inverse = std::vector<double>(d * d), .moment = std::vector<double>(d), .weights = {}};
    model.weights = model.moment;
    for (std::size_t i = 0; i < d; ++i) model.inverse[i * d + i] = 1 / config.ridge;
    arms_.assign(static_cast<std::size_t>(arms), model);
    product_.resize(d);
  }

  void act(std::span<const float> observation, std::span<float> action, Rng&) {
    action[0] = static_cast<float>(detail::best_arm(arm_count(), [&](int arm) {
      const Model& model = arms_[static_cast<std::size_t>(arm)];
      const double variance = multiply(model, observation);
      double value = 0;
      for (std::size_t i = 0; i < observation.size(); ++i)
        value += model.weights[i] * static_cast<double>(observation[i]);
      return value + config_.exploration * std::sqrt(variance);
    }));
  }

  void learn(const Transition& transition) {
    Model& model = arms_[static_cast<std::size_t>(transition.action[0])];
    const std::span<const float> x = transition.observation;
    const double variance = multiply(model, x);
    const std::size_t d = x.size();
    for (std::size_t i = 0; i < d; ++i) {
      for (std::size_t j = 0; j < d; ++j) model.inverse[i * d + j] -= product_[i] * product_[j] / (1 + variance);
      model.moment[i] += static_cast<double>(transition.reward) * static_cast<double>(x[i]);
    }
    for (std::size_t i = 0; i < d; ++i) {
      model.weights[i] = 0;
      for (std::size_t j = 0; j < d; ++j) model.weights[i] += model.inverse[i * d + j] * model.moment[j];
    }
  }

  /// Throws Error unless observations are a Box of its features and actions its arms.
  void check_spaces(const Space& observation_space, const Space& action_space) const {
    if (!std::holds_alternative<Box>(observation_space) || value_count(observation_space) != features_)
      fail("linucb: observations must be a box of {} numbers, not {}", features_, to_short_string(observation_space));
    detail::check_action_space(Discrete{arm_count()}, action_space, "linucb");
  }

  /// The weights that the arm is estimated to have, one per feature.
  [[nodiscard]] std::span<const double> weights(int arm) const& { return arms_[static_cast<std::size_t>(arm)].weights; }
  std::span<const double> weights(int arm) const&& = delete;

private:
  struct Model {
    std::vector<double> inverse;  // (d, d) of A
    std::vector<double> moment;   // (d) sum of reward x
    std::vector<double> weights;  // (d)
  };

  [[nodiscard]] int arm_count() const { return static_cast<int>(arms_.size()); }

  /// Leaves A^-1 x in product_ and returns x A^-1 x.
  double multiply(const Model& model, std::span<const float> x) {
    double variance = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      product_[i] = 0;
      for (std::size_t j = 0; j < x.size(); ++j)
        product_[i] += model.inverse[i * x.size() + j] * static_cast<double>(x[j]);
      variance += product_[i] * static_cast<double>(x[i]);
    }
    return std::max(0.0, variance);
  }

  int features_;
  LinUcbConfig config_;
  std::vector<Model> arms_;
  std::vector<double> product_;  // (d)
};
static_assert(Learner<LinUcb> && ExpectsSpaces<LinUcb>);

}  // namespace icrl
