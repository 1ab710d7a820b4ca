// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/stream_attention.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include <icrl/core/rng.hpp>
#include <icrl/nn/parameters.hpp>

#include "support/catch.hpp"
#include "support/largest_magnitude.hpp"

using namespace icrl;

namespace {

/// The largest difference from a plain loop in double, over streams of 1 .. `tokens` tokens.
template <typename S>
double largest_error(Index heads, Index head_size, Index tokens) {
  const Index width = heads * head_size;
  Rng rng{3, static_cast<std::uint64_t>(width)};
  Matrix<S> queries(tokens, width), keys(tokens, width), values(tokens, width);
  for (auto* m : {&queries, &keys, &values}) fill_normal(*m, 1, rng);
  // What lies beyond the last token must not count.
  std::vector<S> storage(static_cast<std::size_t>(2 * width * padded<S>(tokens)), S(1e30));
  const StreamKeyValues<S> past{storage.data(), storage.data() + width * padded<S>(tokens), width};
  Matrix<S> scores = Matrix<S>::Constant(heads, padded<S>(tokens), S(7));
  RowVector<S> mixed(width);
  double worst = 0;
  for (Index t = 0; t < tokens; ++t) {
    past.put(t, &keys(t, 0), &values(t, 0));
    attend<S>(&queries(t, 0), heads, past, t + 1, scores, mixed.data());
    for (Index h = 0; h < heads; ++h) {
      const auto part = [&](const Matrix<S>& m, Index row) {
        return m.row(row).segment(h * head_size, head_size).template cast<double>();
      };
      double total = 0;
      Eigen::RowVectorXd expected = Eigen::RowVectorXd::Zero(head_size);
      for (Index other = 0; other <= t; ++other) {
        const double weight =
            std::exp(part(queries, t).dot(part(keys, other)) / std::sqrt(static_cast<double>(head_size)));
        total += weight;
        expected += weight * part(values, other);
      }
      const auto found = mixed.segment(h * head_size, head_size).template cast<double>();
      worst = std::max(worst, test::largest_magnitude(found - expected / total));
    }
  }
  return worst;
}

}  // namespace

TEMPLATE_TEST_CASE("attention over a stream is what a plain loop makes of it", "[stream_attention]", float, double) {
  const double bound = std::is_same_v<TestType, float> ? 4e-6 : 1e-13;
  // Heads of less than a packet, of several, and of none in whole; more columns than one tile takes.
  for (const auto& [heads, head_size] : {std::pair{1, 1}, {3, 2}, {4, 8}, {4, 16}, {2, 24}, {8, 32}, {1, 160}}) {
    CAPTURE(heads, head_size);
    CHECK(largest_error<TestType>(heads, head_size, 150) < bound);
  }
}
