// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/adamw.hpp>

#include <cmath>
#include <vector>

#include <icrl/core/rng.hpp>

#include "support/catch.hpp"

using namespace icrl;

namespace {

constexpr double rate = 0.01, beta1 = 0.9, beta2 = 0.99, epsilon = 1e-8;

AdamWUpdate<double> update(int n, double decay, double gradient_scale) {
  return {.rate = rate,
          .beta1 = beta1,
          .beta2 = beta2,
          .epsilon = epsilon,
          .decay = decay,
          .gradient_scale = gradient_scale,
          .mean_bias = 1 - std::pow(beta1, n),
          .deviation_bias = std::sqrt(1 - std::pow(beta2, n))};
}

}  // namespace

TEST_CASE("The first update goes one rate against the gradient's sign", "[nn]") {
  const std::vector<double> gradient{3, -0.002, 0};
  std::vector<double> weights{1, 1, 1}, mean(3), variance(3);
  update(1, 0, 1).apply(gradient, weights, mean, variance);

  CHECK(weights[0] == Approx(1 - rate));
  CHECK(weights[1] == Approx(1 + rate).epsilon(1e-6));
  CHECK(weights[2] == 1);
}

TEST_CASE("Decay shrinks weights apart from the gradient", "[nn]") {
  const std::vector<double> gradient{0};
  std::vector<double> weights{2}, mean(1), variance(1);
  update(1, 0.5, 1).apply(gradient, weights, mean, variance);
  CHECK(weights[0] == Approx(2 * (1 - rate * 0.5)));
}

TEST_CASE("Many updates follow algorithm 2 of the paper, number by number", "[nn]") {
  Rng rng{1};
  constexpr double decay = 0.1, scale = 0.25;
  std::vector<double> weights(37), mean(37), variance(37), gradient(37);
  for (double& w : weights) w = rng.normal();
  std::vector<double> expected = weights, m(37), v(37);

  for (int n = 1; n <= 20; ++n) {
    for (double& g : gradient) g = rng.normal();
    update(n, decay, scale).apply(gradient, weights, mean, variance);
    for (std::size_t i = 0; i < 37; ++i) {
      const double g = scale * gradient[i];
      m[i] = beta1 * m[i] + (1 - beta1) * g;
      v[i] = beta2 * v[i] + (1 - beta2) * g * g;
      const double unbiased_m = m[i] / (1 - std::pow(beta1, n)), unbiased_v = v[i] / (1 - std::pow(beta2, n));
      expected[i] -= rate * (unbiased_m / (std::sqrt(unbiased_v) + epsilon) + decay * expected[i]);
    }
  }

  for (std::size_t i = 0; i < 37; ++i) CHECK(weights[i] == Approx(expected[i]).epsilon(1e-11));
}

TEST_CASE("A gradient whose square overflows is clipped first", "[nn]") {
  const AdamWUpdate<float> first{.rate = 0.01f,
                                 .beta1 = 0.9f,
                                 .beta2 = 0.99f,
                                 .epsilon = 1e-8f,
                                 .decay = 0,
                                 .gradient_scale = 1e-30f,
                                 .mean_bias = 0.1f,
                                 .deviation_bias = 0.1f};
  const std::vector<float> gradient{1e30f, -3e19f, 3e38f};
  std::vector<float> weights{1, 1, 1}, mean(3), variance(3);
  first.apply(gradient, weights, mean, variance);
  CHECK(weights[0] == Approx(0.99f));
  CHECK(weights[1] == Approx(1).margin(0.01));
  CHECK(weights[2] == Approx(0.99f));
}
