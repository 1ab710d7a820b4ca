// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include <icrl/nn/feed_forward.hpp>

namespace icrl::test {

/// Two feed-forward layers of which a router chooses one per token: y += p_k FF_k(x), where p = softmax(x R) and k is
/// the likelier one (Fedus et al., 2022, section 2.1). Learns to choose by way of p_k.
template <std::floating_point S>
struct TwoExperts {
  using Scalar = S;
  using Expert = FeedForward<S>;
  static constexpr std::size_t count = 2;

  Linear<S> router;
  std::vector<Expert> experts;

  /// The tokens of one expert, gathered.
  struct Group {
    std::vector<Index> tokens;
    Matrix<S> x, y, dy, dx;
    typename Expert::Cache cache;
  };
  struct Cache {
    Matrix<S> logits;      ///< (T, 2)
    std::vector<S> gates;  ///< p_k of every token
    Group groups[count] = {};
  };
  struct Scratch {
    Matrix<S> logits, dlogits, dx;
    std::vector<S> gates;
    Group groups[count] = {};
    typename Expert::Scratch expert;
  };

  TwoExperts(Index width, Index hidden) : router{width, count}, experts(count, Expert{width, hidden}) {}

  [[nodiscard]] Index input_size() const { return router.input_size(); }
  [[nodiscard]] Index output_size() const { return router.input_size(); }
  [[nodiscard]] static std::int64_t weight_count(std::int64_t width, std::int64_t hidden) {
    return Linear<S>::weight_count(width, count) + std::int64_t{count} * Expert::weight_count(width, hidden);
  }
  void reserve(Scratch& scratch, Index rows) const {
    scratch.gates.reserve(static_cast<std::size_t>(rows));
    reserve_rows(scratch.logits, rows, router.output_size());
    for (Group& group : scratch.groups) {
      group.tokens.reserve(static_cast<std::size_t>(rows));
      reserve_rows(group.x, rows, input_size());
      reserve_rows(group.y, rows, input_size());
    }
    experts[0].reserve(scratch.expert, rows);
  }

  void add_forward(MatrixIn<S> x, Scratch& scratch, MatrixOut<S> y) const {
    route(x, scratch.logits, scratch.gates, scratch.groups);
    for (std::size_t k = 0; k < count; ++k) {
      Group& group = scratch.groups[k];
      auto out = group.y.topRows(static_cast<Index>(group.tokens.size()));
      out.setZero();
      experts[k].add_forward(group.x.topRows(out.rows()), scratch.expert, out);
      add_gated(scratch.gates, group, y);
    }
  }

  void add_forward(MatrixIn<S> x, Cache& cache, Scratch& scratch, MatrixOut<S> y) const {
    route(x, cache.logits, cache.gates, cache.groups);
    for (std::size_t k = 0; k < count; ++k) {
      Group& group = cache.groups[k];
      auto out = group.y.topRows(static_cast<Index>(group.tokens.size()));
      out.setZero();
      experts[k].add_forward(group.x.topRows(out.rows()), group.cache, scratch.expert, out);
      add_gated(cache.gates, group, y);
    }
  }

  /// With e = FF_k(x): de = p_k dy, dp_k = dy e, and dlogits = dp_k p_k (onehot(k) - p).
  void backward(MatrixIn<S> x, MatrixIn<S> dy, const Cache& cache, Scratch& scratch, TwoExperts& grad,
                MatrixOut<S> dx) const {
    reserve_rows(scratch.dlogits, x.rows(), router.output_size());
    for (std::size_t k = 0; k < count; ++k) {
      const Group& group = cache.groups[k];
      Group& work = scratch.groups[k];
      const auto rows = static_cast<Index>(group.tokens.size());
      reserve_rows(work.dy, rows, dy.cols());
      reserve_rows(work.dx, rows, dy.cols());
      for (Index i = 0; i < rows; ++i) {
        const Index t = group.tokens[static_cast<std::size_t>(i)];
        const S gate = cache.gates[static_cast<std::size_t>(t)], dgate = dy.row(t).dot(group.y.row(i));
        work.dy.row(i) = gate * dy.row(t);
        const S slope = dgate * gate * (S(1) - gate);
        scratch.dlogits(t, static_cast<Index>(k)) = slope;
        scratch.dlogits(t, static_cast<Index>(1 - k)) = -slope;
      }
      experts[k].backward(group.x.topRows(rows), work.dy.topRows(rows), group.cache, scratch.expert, grad.experts[k],
                          work.dx.topRows(rows));
    }
    router.backward(x, scratch.dlogits.topRows(x.rows()), grad.router, dx);
    for (std::size_t k = 0; k < count; ++k)
      for (std::size_t i = 0; i < cache.groups[k].tokens.size(); ++i)
        dx.row(cache.groups[k].tokens[i]) += scratch.groups[k].dx.row(static_cast<Index>(i));
  }

  void initialize(const WeightScale& scale, Rng& rng) {
    router.initialize(scale, rng);
    for (Expert& expert : experts) expert.initialize(scale, rng);
  }
  static constexpr auto parameters() {
    return std::tuple{Field{"router", &TwoExperts::router}, Field{"experts", &TwoExperts::experts}};
  }

private:
  void route(MatrixIn<S> x, Matrix<S>& logits, std::vector<S>& gates, Group (&groups)[count]) const {
    reserve_rows(logits, x.rows(), router.output_size());
    router.forward(x, logits.topRows(x.rows()));
    gates.resize(static_cast<std::size_t>(x.rows()));
    for (Group& group : groups) {
      group.tokens.clear();
      reserve_rows(group.x, x.rows(), x.cols());
      reserve_rows(group.y, x.rows(), x.cols());
    }
    for (Index t = 0; t < x.rows(); ++t) {
      const S lead = logits(t, 1) - logits(t, 0);
      gates[static_cast<std::size_t>(t)] = S(1) / (S(1) + std::exp(-std::abs(lead)));
      Group& group = groups[lead > 0 ? 1 : 0];
      group.x.row(static_cast<Index>(group.tokens.size())) = x.row(t);
      group.tokens.push_back(t);
    }
  }

  static void add_gated(const std::vector<S>& gates, const Group& group, MatrixOut<S> y) {
    for (std::size_t i = 0; i < group.tokens.size(); ++i) {
      const Index t = group.tokens[i];
      y.row(t) += gates[static_cast<std::size_t>(t)] * group.y.row(static_cast<Index>(i));
    }
  }
};

}  // namespace icrl::test
