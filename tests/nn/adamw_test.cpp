// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/adamw.hpp>

#include <cmath>
#include <limits>
#include <vector>

#include <icrl/core/rng.hpp>
#include <icrl/nn/linear.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

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

Linear<double> linear_of(double weight, double bias) {
  Linear<double> layer{2, 3};
  layer.weight.setConstant(weight);
  layer.bias.setConstant(bias);
  return layer;
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

TEST_CASE("An optimizer's first steps are those of the formula, and only matrices decay", "[nn]") {
  constexpr AdamWConfig config{
      .learning_rate = rate, .beta1 = beta1, .beta2 = beta2, .epsilon = epsilon, .weight_decay = 0.5};
  Linear<double> layer = linear_of(2, 2);
  AdamW<Linear<double>> optimizer{layer, config};
  double weight = 2, bias = 2, m = 0, v = 0;

  for (int n = 1; n <= 5; ++n) {
    const double g = n % 2 == 0 ? 0.3 : -0.1;
    CHECK(optimizer.step(layer, linear_of(g, g)) == Approx(3 * std::abs(g)));

    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g * g;
    const double move = rate * m / (1 - std::pow(beta1, n)) / (std::sqrt(v / (1 - std::pow(beta2, n))) + epsilon);
    weight -= rate * 0.5 * weight + move;
    bias -= move;
    CHECK(layer.weight(1, 2) == Approx(weight).epsilon(1e-12));
    CHECK(layer.bias[1] == Approx(bias).epsilon(1e-12));
  }
  CHECK(optimizer.step_count() == 5);
}

TEST_CASE("A gradient of a norm above the limit is scaled down to it, one below is left alone", "[nn]") {
  const auto mean_after = [](double gradient, double limit) {
    Linear<double> layer = linear_of(0, 0);
    AdamW<Linear<double>> optimizer{layer, {.beta1 = 0.75, .max_gradient_norm = limit}};
    (void)optimizer.step(layer, linear_of(gradient, gradient));
    return optimizer.mean().weight(0, 0);
  };

  CHECK(mean_after(4, 0) == Approx(1));    // 9 numbers of 4: a norm of 12
  CHECK(mean_after(4, 6) == Approx(0.5));  // halved
  CHECK(mean_after(4, 12.5) == Approx(1));
}

TEST_CASE("An optimizer goes on where another was, and a copy goes on by itself", "[nn]") {
  Linear<double> layer = linear_of(1, 1);
  AdamW<Linear<double>> optimizer{layer, {}};
  (void)optimizer.step(layer, linear_of(3, -1));
  Linear<double> restored_layer = layer, copied_layer = layer;
  AdamW<Linear<double>> copy = optimizer, restored{layer, {}};
  restored.restore(optimizer.mean(), optimizer.variance(), optimizer.step_count());

  (void)optimizer.step(layer, linear_of(-2, 5));

  CHECK(copy.step_count() == 1);
  (void)copy.step(copied_layer, linear_of(-2, 5));
  (void)restored.step(restored_layer, linear_of(-2, 5));
  CHECK(copied_layer.weight == layer.weight);
  CHECK(restored_layer.weight == layer.weight);
  CHECK(restored_layer.bias == layer.bias);
}

TEST_CASE("Frozen weights are not changed, have no moments and no part in the norm", "[nn]") {
  struct Adapted {
    Linear<double> base, correction;
    static constexpr auto parameters() {
      return std::tuple{Frozen{"base", &Adapted::base}, Field{"correction", &Adapted::correction}};
    }
  };
  Adapted model{linear_of(2, 2), linear_of(1, 1)};
  const Adapted gradient{linear_of(std::numeric_limits<double>::infinity(), 5), linear_of(0.5, 0.5)};
  AdamW<Adapted> optimizer{model, {.weight_decay = 0.1, .max_gradient_norm = 100}};

  CHECK(optimizer.step(model, gradient) == Approx(1.5));

  CHECK((model.base.weight.array() == 2).all());
  CHECK((model.base.bias.array() == 2).all());
  CHECK((model.correction.weight.array() < 1).all());
  CHECK(parameter_count(optimizer.mean()) == 9);
  CHECK(parameter_count(optimizer.variance()) == 9);
}

TEST_CASE("A gradient that is not finite is refused and changes nothing", "[nn]") {
  Linear<double> layer = linear_of(1, 1);
  AdamW<Linear<double>> optimizer{layer, {}};
  (void)optimizer.step(layer, linear_of(1, 1));
  const Linear<double> before = layer;
  Linear<double> gradient = linear_of(1, 1);
  gradient.bias[2] = std::numeric_limits<double>::quiet_NaN();

  CHECK(error_of([&] { (void)optimizer.step(layer, gradient); }) ==
        "AdamW: the gradient of update 2 has the norm nan; the weights are unchanged (is the learning rate 0.001 too "
        "high?)");
  CHECK(layer.weight == before.weight);
  CHECK(optimizer.step_count() == 1);
}

TEST_CASE("An optimizer refuses values out of their range", "[nn]") {
  const auto refusal = [](const AdamWConfig& config) {
    return error_of([&] { const AdamW<Linear<double>> optimizer{linear_of(0, 0), config}; });
  };

  CHECK(refusal({}).empty());
  CHECK(has(refusal({.learning_rate = -1}), "AdamW: learning_rate is -1, it must lie in 0 .. "));
  CHECK(has(refusal({.learning_rate = std::numeric_limits<double>::quiet_NaN()}), "learning_rate is nan"));
  CHECK(has(refusal({.beta1 = 1}), "beta1 is 1"));
  CHECK(has(refusal({.beta2 = -0.5}), "beta2 is -0.5"));
  CHECK(has(refusal({.epsilon = 0}), "epsilon is 0"));
  CHECK(has(refusal({.weight_decay = -1}), "weight_decay is -1"));
  CHECK(has(refusal({.max_gradient_norm = -1}), "max_gradient_norm is -1"));
}

TEST_CASE("AdamW refuses values that are none in the model's precision", "[nn]") {
  const Linear<float> narrow{1, 1};
  const Linear<double> wide{1, 1};
  CHECK_THROWS_WITH((AdamW{narrow, {.epsilon = 1e-46}}), ContainsSubstring("epsilon 1e-46 rounds to 0"));
  CHECK_THROWS_WITH((AdamW{narrow, {.beta2 = 0.99999999}}), ContainsSubstring("rounds to 1 in this model's precision"));
  CHECK_NOTHROW(AdamW{wide, {.beta2 = 0.99999999, .epsilon = 1e-46}});
}

TEST_CASE("AdamW refuses rates that would destroy the weights, and changes nothing", "[nn]") {
  Linear<float> layer{1, 1};
  layer.weight(0, 0) = 3;
  const Linear<float> gradient = layer;
  CHECK_THROWS_WITH((AdamW{layer, {.learning_rate = 1e300}}), ContainsSubstring("the learning rate is 1e+300"));
  CHECK_THROWS_WITH((AdamW{layer, {.learning_rate = 1, .weight_decay = 3}}),
                    ContainsSubstring("learning rate 1 times weight decay 3 is 3, it can be at most 1"));
  AdamW optimizer{layer, {.learning_rate = 0.1, .weight_decay = 3}};
  for (const double refused : {std::numeric_limits<double>::quiet_NaN(), -1.0, 1e300, 0.5})
    CHECK_FALSE(error_of([&] { (void)optimizer.step(layer, gradient, refused); }).empty());
  CHECK(layer.weight(0, 0) == 3);
  CHECK(optimizer.step_count() == 0);
}
