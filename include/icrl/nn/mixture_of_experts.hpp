// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <icrl/math/row_kernels.hpp>
#include <icrl/nn/expert_routes.hpp>
#include <icrl/nn/feed_forward.hpp>

namespace icrl {

/// A sparse feed-forward layer (Shazeer et al., 2017; Fedus et al., 2022): of E experts, each a feed-forward layer, a
/// linear router takes k per token, y += sum over them of gate * expert(x). It has the weights of E layers and does the
/// work of k layers per token.
///
/// In training two auxiliary losses keep the load even and the router's logits small, see RouterLosses. `backward` adds
/// their gradients, summed over tokens as an objective sums over labels; they are not part of the objective.
template <std::floating_point S, FeedForwardLayer Expert = FeedForward<S>>
struct MixtureOfExperts {
  using Scalar = S;
  static constexpr bool is_trainable = TrainableLayer<Expert>;

  MixtureConfig config;         ///< not a weight
  Linear<S> router;             ///< (C, E)
  std::vector<Expert> experts;  ///< (E)

  /// The results of the forward pass that backward needs. Rows are sorted by expert, see ExpertRoutes.
  struct Cache {
    Matrix<S> logits;                         ///< (T, E)
    ExpertRoutes<S> routes;                   ///< which rows go to which expert
    RouterLosses<S> losses;                   ///< what the auxiliary losses are computed from
    Matrix<S> x, y;                           ///< (T * k, C), inputs and outputs of the experts
    std::vector<LayerCache<Expert>> experts;  ///< one per expert
    Index reserved_rows = 0;                  ///< that every expert's cache has room for
  };
  /// Temporary memory of one call.
  struct Scratch {
    Matrix<S> logits;                 ///< (T, E), or their derivative
    ExpertRoutes<S> routes;           ///< which rows go to which expert
    Matrix<S> x, y;                   ///< (T * k, C), or their derivatives
    std::vector<S> dgates;            ///< (T * k)
    typename Expert::Scratch expert;  ///< of one expert after another
  };

  /// `hidden` is the width inside each expert. Throws Error for an invalid configuration.
  MixtureOfExperts(Index width, Index hidden, const MixtureConfig& mixture = {})
      : config{checked(mixture)},
        router{width, mixture.expert_count},
        experts(static_cast<std::size_t>(mixture.expert_count), Expert{width, hidden}) {}

  [[nodiscard]] Index input_size() const { return router.input_size(); }
  [[nodiscard]] Index output_size() const { return router.input_size(); }
  /// Number of experts, E.
  [[nodiscard]] Index expert_count() const { return router.output_size(); }
  [[nodiscard]] static std::int64_t weight_count(std::int64_t width, std::int64_t hidden,
                                                 const MixtureConfig& mixture = {}) {
    return Linear<S>::weight_count(width, mixture.expert_count) +
           mixture.expert_count * Expert::weight_count(width, hidden);
  }

  void reserve(Scratch& scratch, Index rows) const {
    reserve_rows(scratch.logits, rows, expert_count());
    scratch.routes.reserve(rows, expert_count(), config.experts_per_token);
    reserve_rows(scratch.x, rows * config.experts_per_token, input_size());
    reserve_rows(scratch.y, rows * config.experts_per_token, input_size());
    experts.front().reserve(scratch.expert, rows);
  }

  /// y += layer(x), for a pass that acts: no token is dropped. x, y (T, C). A row of y is bit-identical whatever the
  /// other rows are.
  void add_forward(MatrixIn<S> x, Scratch& scratch, MatrixOut<S> y) const {
    reserve(scratch, x.rows());
    const ExpertRoutes<S>& routes = scratch.routes;
    route(x, /*capacity*/ x.rows(), scratch.logits, scratch.routes);
    gather(routes, x, scratch.x);
    for_each_busy_expert(routes, [&](std::size_t e, Index first, Index count) {
      auto out = scratch.y.middleRows(first, count);
      std::fill_n(out.data(), out.size(), S(0));
      experts[e].add_forward(scratch.x.middleRows(first, count), scratch.expert, out);
    });
    add_gated(routes, scratch.y, y);
  }

  /// y += layer(x), for a pass that trains.
  void add_forward(MatrixIn<S> x, Cache& cache, Scratch& scratch, MatrixOut<S> y) const requires is_trainable {
    reserve_rows(cache.logits, x.rows(), expert_count());
    reserve_rows(cache.x, x.rows() * config.experts_per_token, input_size());
    reserve_rows(cache.y, x.rows() * config.experts_per_token, input_size());
    reserve(scratch, x.rows());
    reserve_experts(x, cache, scratch);
    route(x, capacity(x.rows()), cache.logits, cache.routes);
    cache.losses.measure(cache.logits.topRows(x.rows()), cache.routes);
    gather(cache.routes, x, cache.x);
    for_each_busy_expert(cache.routes, [&](std::size_t e, Index first, Index count) {
      auto out = cache.y.middleRows(first, count);
      std::fill_n(out.data(), out.size(), S(0));
      experts[e].add_forward(cache.x.middleRows(first, count), cache.experts[e], scratch.expert, out);
    });
    add_gated(cache.routes, cache.y, y);
  }

  /// Adds to `grad`, overwrites dx. dy is the derivative of what forward added. With e_i = expert_i(x), by row:
  ///   de_i = gate_i dy, dgate_i = dy e_i, dlogits = the gates' softmax backward + the auxiliary losses' gradient
  void backward(MatrixIn<S> x, MatrixIn<S> dy, const Cache& cache, Scratch& scratch, MixtureOfExperts& grad,
                MatrixOut<S> dx) const requires is_trainable {
    const ExpertRoutes<S>& routes = cache.routes;
    reserve(scratch, x.rows());
    auto dlogits = scratch.logits.topRows(x.rows());
    cache.losses.gradient(config, dlogits);
    scratch.dgates.assign(routes.choices.size(), S(0));  // what was dropped has no part in y
    for (Index row = 0; row < routes.row_count(); ++row) {
      const S* const from = row_data(dy, routes.token_of(row));
      const S gate = routes.gate_of(row);
      scratch.dgates[static_cast<std::size_t>(routes.order[static_cast<std::size_t>(row)])] =
          dot(from, row_data(cache.y, row), dy.cols());
      S* const to = row_data(scratch.y, row);
      for (Index i = 0; i < dy.cols(); ++i) to[i] = gate * from[i];
    }
    add_gate_gradients(cache, scratch.dgates, dlogits);
    for_each_busy_expert(routes, [&](std::size_t e, Index first, Index count) {
      experts[e].backward(cache.x.middleRows(first, count), scratch.y.middleRows(first, count), cache.experts[e],
                          scratch.expert, grad.experts[e], scratch.x.middleRows(first, count));
    });
    router.backward(x, dlogits, grad.router, dx);
    for (Index row = 0; row < routes.row_count(); ++row)
      add_scaled(S(1), row_data(scratch.x, row), dx.cols(), row_data(dx, routes.token_of(row)));
  }

  /// The auxiliary losses of the forward pass before, summed over its tokens.
  [[nodiscard]] double auxiliary_loss(const Cache& cache) const { return cache.losses.value(config); }

  /// Adds the choices of the forward pass before, also those beyond the capacity.
  void add_load(const Cache& cache, ExpertLoad& load) const {
    load.choices.resize(experts.size());
    for (std::size_t e = 0; e < experts.size(); ++e) load.choices[e] += cache.routes.demand[e];
  }

  void initialize(const WeightScale& scale, Rng& rng) requires is_trainable {
    router.initialize(scale, rng);
    for (Expert& expert : experts) expert.initialize(scale, rng);
  }

  static constexpr auto parameters() {
    return std::tuple{Field{"router", &MixtureOfExperts::router}, Field{"experts", &MixtureOfExperts::experts}};
  }

private:
  static const MixtureConfig& checked(const MixtureConfig& config) {
    validate(config);
    return config;
  }

  /// Tokens of a window of `tokens` that an expert takes in training.
  [[nodiscard]] Index capacity(Index tokens) const {
    if (config.capacity_factor == 0) return tokens;
    const double share = config.capacity_factor * config.experts_per_token / config.expert_count;
    return static_cast<Index>(
        std::clamp(std::ceil(share * static_cast<double>(tokens)), 1.0, static_cast<double>(tokens)));
  }

  void route(MatrixIn<S> x, Index capacity, Matrix<S>& memory, ExpertRoutes<S>& routes) const {
    auto logits = memory.topRows(x.rows());
    router.forward(x, logits);
    routes.choose(logits, config.experts_per_token, capacity);
  }

  /// The number of tokens per expert differs from window to window. The first pass gives every expert all tokens once,
  /// so that later passes allocate nothing.
  void reserve_experts(MatrixIn<S> x, Cache& cache, Scratch& scratch) const {
    if (cache.reserved_rows >= x.rows()) return;
    cache.routes.reserve(x.rows(), expert_count(), config.experts_per_token);
    cache.experts.resize(experts.size());
    for (std::size_t e = 0; e < experts.size(); ++e)
      experts[e].add_forward(x, cache.experts[e], scratch.expert, cache.y.topRows(x.rows()));
    cache.reserved_rows = x.rows();
  }

  template <typename Use>
  void for_each_busy_expert(const ExpertRoutes<S>& routes, Use&& use) const {
    for (std::size_t e = 0; e < experts.size(); ++e) {
      const auto expert = static_cast<Index>(e);
      if (routes.count(expert) > 0) use(e, routes.begin(expert), routes.count(expert));
    }
  }

  static void gather(const ExpertRoutes<S>& routes, MatrixIn<S> x, Matrix<S>& rows) {
    for (Index row = 0; row < routes.row_count(); ++row)
      std::copy_n(row_data(x, routes.token_of(row)), x.cols(), row_data(rows, row));
  }

  static void add_gated(const ExpertRoutes<S>& routes, const Matrix<S>& rows, MatrixOut<S> y) {
    for (Index row = 0; row < routes.row_count(); ++row)
      add_scaled(routes.gate_of(row), row_data(rows, row), y.cols(), row_data(y, routes.token_of(row)));
  }

  /// y += scale * x, with the same operations for any alignment of the row.
  static void add_scaled(S scale, const S* x, Index size, S* y) {
    using namespace detail;
    const Index whole = size - size % lanes<S>;
    for (Index i = 0; i < whole; i += lanes<S>)
      store(y + i, multiply_add<S>(load(x + i), broadcast(scale), load(y + i)));
    for (Index i = whole; i < size; ++i) y[i] = multiply_add_one(x[i], scale, y[i]);
  }

  /// The gates' part of dlogits: of a softmax over all experts where k = 1, else over the chosen ones.
  void add_gate_gradients(const Cache& cache, const std::vector<S>& dgates, MatrixOut<S> dlogits) const {
    const Index k = config.experts_per_token;
    for (Index t = 0; t < dlogits.rows(); ++t) {
      const auto* const chosen = cache.routes.choices.data() + t * k;
      const S* const dgate = dgates.data() + t * k;
      S* const d = row_data(dlogits, t);
      S mean = 0;
      for (Index rank = 0; rank < k; ++rank) mean += chosen[rank].gate * dgate[rank];
      for (Index rank = 0; rank < k; ++rank) d[chosen[rank].expert] += chosen[rank].gate * dgate[rank];
      if (k == 1) {
        for (Index e = 0; e < expert_count(); ++e) d[e] -= cache.losses.probabilities(t, e) * mean;
      } else {
        for (Index rank = 0; rank < k; ++rank) d[chosen[rank].expert] -= chosen[rank].gate * mean;
      }
    }
  }
};

}  // namespace icrl
