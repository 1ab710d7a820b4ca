// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <tuple>
#include <vector>

#include <icrl/core/config_fields.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/math/matrix.hpp>

namespace icrl {

/// The experts of a mixture and how their router is trained. Auxiliary losses are weighted per token, as the objective
/// is per label.
struct MixtureConfig {
  int expert_count = 8;          ///< E
  int experts_per_token = 2;     ///< k, at most E
  double balance_weight = 0.01;  ///< alpha of the load-balance loss (Fedus et al., 2022, equation 4); 0 = none
  double z_weight = 0.001;       ///< of the router z-loss (Zoph et al., 2022, equation 5); 0 = none
  /// In training an expert takes capacity_factor * k * T / E tokens of a window of T, rounded up; later tokens pass it
  /// by. 0 = any number. A model that acts has no capacity.
  double capacity_factor = 0;

  static constexpr auto fields() {
    using C = MixtureConfig;
    constexpr double huge = std::numeric_limits<float>::max();
    return std::tuple{IntField<C>{"expert_count", &C::expert_count, 1, 256, "experts {}", "experts in every layer"},
                      IntField<C>{"experts_per_token", &C::experts_per_token, 1, 8, "experts per token {}",
                                  "experts that serve a token, at most expert_count"},
                      RealField<C>{"balance_weight", &C::balance_weight, 0, huge, "load balance {}",
                                   "weight of the load-balance loss"},
                      RealField<C>{"z_weight", &C::z_weight, 0, huge, "z-loss {}", "weight of the router z-loss"},
                      RealField<C>{"capacity_factor", &C::capacity_factor, 0, huge, "capacity factor {}",
                                   "an expert's capacity in training as a multiple of an even share, 0 = any"}};
  }

  friend bool operator==(const MixtureConfig&, const MixtureConfig&) = default;
};

/// Throws Error naming the first invalid value.
inline void validate(const MixtureConfig& config) {
  validate_fields(config, "mixture of experts");
  if (config.experts_per_token > config.expert_count) {
    fail("mixture of experts: experts_per_token is {}, it can be at most expert_count = {}", config.experts_per_token,
         config.expert_count);
  }
}

/// Which experts serve each of T tokens, and the same sorted by expert. All memory is reused from pass to pass.
template <std::floating_point S>
struct ExpertRoutes {
  /// One of the k experts of a token.
  struct Choice {
    Index expert;  ///< its number, 0 .. E - 1
    S gate;        ///< what the expert's output is multiplied by
  };
  Index per_token = 1;               ///< k
  std::vector<Choice> choices;       ///< (T * k), those of a token side by side, the largest logit first
  std::vector<Index> order;          ///< numbers of choices within the capacity, by expert, then by token
  std::vector<Index> begins;         ///< (E + 1), an expert's part of `order`
  std::vector<std::int64_t> demand;  ///< (E), choices of each expert, also those beyond its capacity

  /// Sizes all lists, so that choosing for up to `tokens` tokens allocates nothing.
  void reserve(Index tokens, Index experts, Index k) {
    choices.reserve(static_cast<std::size_t>(tokens * k));
    order.reserve(static_cast<std::size_t>(tokens * k));
    begins.reserve(static_cast<std::size_t>(experts) + 1);
    demand.reserve(static_cast<std::size_t>(experts));
    next_.reserve(static_cast<std::size_t>(experts));
  }

  /// Takes the k largest of each row of logits (T, E); among equal ones, the first. The gate of one expert is its
  /// probability among all (Fedus et al., 2022); those of several are a softmax over them (Shazeer et al., 2017).
  /// An expert takes its first `capacity` tokens, so that no token depends on later ones.
  void choose(MatrixIn<S> logits, Index k, Index capacity) {
    const Index experts = logits.cols();
    per_token = k;
    choices.resize(static_cast<std::size_t>(logits.rows() * k));
    demand.assign(static_cast<std::size_t>(experts), 0);
    for (Index t = 0; t < logits.rows(); ++t) choose_for_token(row_data(logits, t), experts, choices.data() + t * k);
    for (const Choice& choice : choices) ++demand[static_cast<std::size_t>(choice.expert)];
    begins.assign(1, 0);
    for (const std::int64_t count : demand)
      begins.push_back(begins.back() + std::min(static_cast<Index>(count), capacity));
    next_.assign(begins.begin(), begins.end() - 1);
    order.resize(static_cast<std::size_t>(begins.back()));
    for (std::size_t i = 0; i < choices.size(); ++i) {
      const auto e = static_cast<std::size_t>(choices[i].expert);
      if (next_[e] < begins[e + 1]) order[static_cast<std::size_t>(next_[e]++)] = static_cast<Index>(i);
    }
  }

  /// The rows of expert e are begin(e) .. begin(e) + count(e) - 1.
  [[nodiscard]] Index begin(Index expert) const { return begins[static_cast<std::size_t>(expert)]; }
  /// Tokens that an expert serves, those beyond its capacity excluded.
  [[nodiscard]] Index count(Index expert) const { return begin(expert + 1) - begin(expert); }
  /// Rows of all experts together.
  [[nodiscard]] Index row_count() const { return begins.back(); }
  /// Whose row this is.
  [[nodiscard]] Index token_of(Index row) const { return order[static_cast<std::size_t>(row)] / per_token; }
  /// What the output of a row's expert is multiplied by.
  [[nodiscard]] S gate_of(Index row) const {
    return choices[static_cast<std::size_t>(order[static_cast<std::size_t>(row)])].gate;
  }

private:
  void choose_for_token(const S* logits, Index experts, Choice* chosen) const {
    for (Index rank = 0; rank < per_token; ++rank) {
      Index best = -1;
      for (Index e = 0; e < experts; ++e) {
        const bool is_taken = std::any_of(chosen, chosen + rank, [e](const Choice& c) { return c.expert == e; });
        if (!is_taken && (best < 0 || logits[e] > logits[best])) best = e;
      }
      chosen[rank].expert = best;
    }
    const S most = logits[chosen[0].expert];
    S total = 0;
    if (per_token == 1) {
      for (Index e = 0; e < experts; ++e) total += std::exp(logits[e] - most);
      chosen[0].gate = S(1) / total;
    } else {
      for (Index rank = 0; rank < per_token; ++rank) {
        chosen[rank].gate = std::exp(logits[chosen[rank].expert] - most);
        total += chosen[rank].gate;
      }
      for (Index rank = 0; rank < per_token; ++rank) chosen[rank].gate /= total;
    }
  }

  std::vector<Index> next_;  // (E), where an expert's next choice goes
};

/// The auxiliary losses of a router over the T tokens of a window:
///   T * alpha * E * sum over i of f_i P_i + beta * sum over t of log(sum over i of exp(logit_ti))^2,
/// where f_i is the share of choices that fell on expert i, a constant, and P_i the mean over t of p_ti =
/// softmax(logits_t)_i.
template <std::floating_point S>
struct RouterLosses {
  Matrix<S> probabilities;  ///< (T, E)
  std::vector<S> log_sums;  ///< (T)
  std::vector<S> shares;    ///< (E), f

  /// Takes the losses' inputs from a router's logits (T, E) and the choices that were made by them.
  void measure(MatrixIn<S> logits, const ExpertRoutes<S>& routes) {
    const Index tokens = logits.rows(), experts = logits.cols();
    reserve_rows(probabilities, tokens, experts);
    log_sums.resize(static_cast<std::size_t>(tokens));
    shares.resize(static_cast<std::size_t>(experts));
    for (std::size_t e = 0; e < shares.size(); ++e)
      shares[e] = static_cast<S>(routes.demand[e]) / static_cast<S>(routes.choices.size());
    for (Index t = 0; t < tokens; ++t) {
      const S* const from = row_data(logits, t);
      S* const p = row_data(probabilities, t);
      const S most = *std::max_element(from, from + experts);
      S total = 0;
      for (Index e = 0; e < experts; ++e) total += p[e] = std::exp(from[e] - most);
      for (Index e = 0; e < experts; ++e) p[e] /= total;
      log_sums[static_cast<std::size_t>(t)] = most + std::log(total);
    }
  }

  /// The sum of both losses, weighted as the configuration says.
  [[nodiscard]] double value(const MixtureConfig& config) const {
    double balance = 0, z = 0;
    for (std::size_t t = 0; t < log_sums.size(); ++t) {
      for (std::size_t e = 0; e < shares.size(); ++e)
        balance += static_cast<double>(shares[e] * probabilities(static_cast<Index>(t), static_cast<Index>(e)));
      z += static_cast<double>(log_sums[t] * log_sums[t]);
    }
    return config.balance_weight * static_cast<double>(shares.size()) * balance + config.z_weight * z;
  }

  /// Overwrites dlogits (T, E) with the derivative of `value`. With d_i = alpha E f_i:
  ///   dlogit_ti = p_ti (d_i - sum over j of p_tj d_j) + 2 beta log_sum_t p_ti
  void gradient(const MixtureConfig& config, MatrixOut<S> dlogits) const {
    const S balance = static_cast<S>(config.balance_weight * config.expert_count), z = static_cast<S>(config.z_weight);
    for (std::size_t t = 0; t < log_sums.size(); ++t) {
      const S* const p = row_data(probabilities, static_cast<Index>(t));
      S* const d = row_data(dlogits, static_cast<Index>(t));
      S mean = 0;
      for (std::size_t e = 0; e < shares.size(); ++e) mean += p[e] * shares[e];
      for (std::size_t e = 0; e < shares.size(); ++e)
        d[e] = p[e] * (balance * (shares[e] - mean) + S(2) * z * log_sums[t]);
    }
  }
};

/// How many tokens chose each expert of a layer.
struct ExpertLoad {
  std::vector<std::int64_t> choices;  ///< by expert

  /// The share of each expert, f_i.
  [[nodiscard]] std::vector<double> shares() const {
    double total = 0;
    for (const std::int64_t count : choices) total += static_cast<double>(count);
    std::vector<double> shares;
    for (const std::int64_t count : choices) shares.push_back(total == 0 ? 0 : static_cast<double>(count) / total);
    return shares;
  }
  /// Standard deviation of the shares divided by their mean: 0 if all experts do the same work.
  [[nodiscard]] double coefficient_of_variation() const {
    const auto experts = static_cast<double>(choices.size());
    double squares = 0;
    for (const double share : shares()) squares += (share - 1 / experts) * (share - 1 / experts);
    return std::sqrt(squares * experts);
  }
};

}  // namespace icrl
