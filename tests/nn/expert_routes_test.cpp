// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/expert_routes.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradient.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

constexpr Index any_number = 1 << 20;

/// The experts of token t, likeliest first.
std::vector<Index> experts_of(const ExpertRoutes<double>& routes, Index t) {
  std::vector<Index> experts;
  for (Index rank = 0; rank < routes.per_token; ++rank)
    experts.push_back(routes.choices[static_cast<std::size_t>(t * routes.per_token + rank)].expert);
  return experts;
}

}  // namespace

TEST_CASE("The largest logits choose the experts, of equal ones the first", "[nn]") {
  const Matrix<double> logits{{1, 3, 2, 0}, {0, 0, 0, 0}, {-1, 5, -1, 5}, {2, 1, 2, 2}};
  ExpertRoutes<double> routes;

  routes.choose(logits, 2, any_number);

  CHECK(experts_of(routes, 0) == std::vector<Index>{1, 2});
  CHECK(experts_of(routes, 1) == std::vector<Index>{0, 1});
  CHECK(experts_of(routes, 2) == std::vector<Index>{1, 3});
  CHECK(experts_of(routes, 3) == std::vector<Index>{0, 2});
  CHECK(routes.demand == std::vector<std::int64_t>{2, 3, 2, 1});
}

TEST_CASE("The gate of one expert is its probability, those of several a softmax over them", "[nn]") {
  const Matrix<double> logits{{1, 3, 2, 0}};
  ExpertRoutes<double> one, two;

  one.choose(logits, 1, any_number);
  two.choose(logits, 2, any_number);

  CHECK(one.choices[0].gate == Approx(std::exp(3) / (std::exp(1) + std::exp(3) + std::exp(2) + 1)));
  CHECK(two.choices[0].gate == Approx(std::exp(3) / (std::exp(3) + std::exp(2))));
  CHECK(two.choices[1].gate == Approx(std::exp(2) / (std::exp(3) + std::exp(2))));
}

TEST_CASE("Rows are sorted by expert, and an expert without a token has none", "[nn]") {
  const Matrix<double> logits{{0, 9, 1}, {2, 1, 0}, {0, 2, 1}, {3, 1, 0}};
  ExpertRoutes<double> routes;

  routes.choose(logits, 1, any_number);

  CHECK(routes.order == std::vector<Index>{1, 3, 0, 2});
  CHECK(routes.begins == std::vector<Index>{0, 2, 4, 4});
  CHECK(routes.count(2) == 0);
  CHECK(routes.token_of(2) == 0);
}

TEST_CASE("An expert takes its first tokens up to the capacity, and its demand counts all", "[nn]") {
  const Matrix<double> logits{{2, 1, 0}, {2, 0, 1}, {2, 1, 0}, {0, 1, 2}};
  ExpertRoutes<double> routes;

  routes.choose(logits, 2, 2);

  CHECK(routes.demand == std::vector<std::int64_t>{3, 3, 2});
  CHECK(routes.count(0) == 2);
  CHECK(routes.count(1) == 2);
  CHECK(routes.order == std::vector<Index>{0, 2, 1, 5, 3, 6});
}

TEST_CASE("Logits that are not numbers choose some expert, and their gates say so", "[nn]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  ExpertRoutes<double> routes;

  routes.choose(Matrix<double>{{nan, nan, nan}}, 2, any_number);

  CHECK(experts_of(routes, 0) == std::vector<Index>{0, 1});
  CHECK(std::isnan(routes.choices[0].gate));
}

TEST_CASE("Router losses are those of the papers, summed over tokens", "[nn]") {
  Rng rng{3};
  const Matrix<double> logits = random_matrix(7, 5, rng);
  const MixtureConfig config{.expert_count = 5, .balance_weight = 0.25, .z_weight = 0.125};
  ExpertRoutes<double> routes;
  RouterLosses<double> losses;
  routes.choose(logits, 2, any_number);

  losses.measure(logits, routes);

  double balance = 0, z = 0;
  for (Index e = 0; e < 5; ++e) {
    double chosen = 0, probability = 0;
    for (Index t = 0; t < 7; ++t) {
      for (const Index expert : experts_of(routes, t)) chosen += expert == e ? 1.0 / 14 : 0.0;
      probability += std::exp(logits(t, e)) / logits.row(t).array().exp().sum() / 7;
    }
    balance += chosen * probability;
  }
  for (Index t = 0; t < 7; ++t) z += std::pow(std::log(logits.row(t).array().exp().sum()), 2);
  CHECK(losses.value(config) == Approx(7 * 0.25 * 5 * balance + 0.125 * z));
}

TEST_CASE("With an even router the load-balance loss is its weight per token", "[nn]") {
  const Matrix<double> logits = Matrix<double>::Zero(6, 3);
  ExpertRoutes<double> routes;
  RouterLosses<double> losses;
  routes.choose(logits, 1, any_number);

  losses.measure(logits, routes);

  CHECK(losses.value({.expert_count = 3, .balance_weight = 0.5, .z_weight = 0}) == Approx(6 * 0.5));
  CHECK(losses.value({.expert_count = 3, .balance_weight = 0, .z_weight = 2}) ==
        Approx(6 * 2 * std::pow(std::log(3), 2)));
}

TEST_CASE("The gradient of router losses matches finite differences", "[nn][gradient]") {
  Rng rng{5};
  Matrix<double> logits = random_matrix(9, 4, rng);
  const MixtureConfig config{.expert_count = 4, .balance_weight = 0.5, .z_weight = 0.25};
  ExpertRoutes<double> routes;
  RouterLosses<double> losses;
  routes.choose(logits, 2, any_number);
  losses.measure(logits, routes);
  Matrix<double> dlogits(9, 4);

  losses.gradient(config, dlogits);

  const auto value = [&] {
    RouterLosses<double> again;
    again.measure(logits, routes);
    return again.value(config);
  };
  CHECK(relative_error(dlogits, numeric_gradient(logits, value)) < 1e-8);
}

TEST_CASE("The coefficient of variation of a load is 0 if it is even, and sqrt(E - 1) if one expert has all", "[nn]") {
  CHECK(ExpertLoad{{5, 5, 5, 5}}.coefficient_of_variation() == 0);
  CHECK(ExpertLoad{{0, 8, 0, 0, 0}}.coefficient_of_variation() == Approx(2));
  CHECK(ExpertLoad{{1, 3}}.shares() == std::vector<double>{0.25, 0.75});
  CHECK(ExpertLoad{{1, 3}}.coefficient_of_variation() == Approx(0.5));
}

TEST_CASE("A configuration that makes no mixture is refused", "[nn]") {
  const auto refusal = [](const MixtureConfig& config) { return error_of([&] { validate(config); }); };

  CHECK(refusal({}).empty());
  CHECK(refusal({.expert_count = 2, .experts_per_token = 3}) ==
        "mixture of experts: experts_per_token is 3, it can be at most expert_count = 2");
  CHECK(refusal({.expert_count = 0}) == "mixture of experts: expert_count is 0, it must lie in 1 .. 256");
  CHECK(!refusal({.balance_weight = -1}).empty());
  CHECK(!refusal({.z_weight = std::numeric_limits<double>::quiet_NaN()}).empty());
  CHECK(!refusal({.capacity_factor = -0.5}).empty());
}
