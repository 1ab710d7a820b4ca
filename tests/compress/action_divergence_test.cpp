// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/action_divergence.hpp>

#include <cmath>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "support/catch.hpp"

using namespace icrl;

namespace {

double divergence(const ActionDivergence& measure, const Space& actions, const std::vector<double>& teacher,
                  const std::vector<double>& student, std::span<double> gradient = {}, double weight = 1) {
  ActionDivergence::Scratch scratch;
  return measure.add_gradient<double, double>(ActionDistribution{actions}, teacher, student, weight, gradient, scratch);
}

/// KL of two densities on a line that need not be normalized, by the trapezoidal rule.
double integrated_kl(const std::function<double(double)>& one, const std::function<double(double)>& other) {
  constexpr double step = 1e-3;
  double one_total = 0, other_total = 0;
  for (double x = -40; x < 40; x += step) {
    one_total += one(x) * step;
    other_total += other(x) * step;
  }
  double kl = 0;
  for (double x = -40; x < 40; x += step) {
    const double p = one(x) / one_total, q = other(x) / other_total;
    if (p > 0 && q > 0) kl += p * std::log(p / q) * step;
  }
  return kl;
}

}  // namespace

TEST_CASE("The divergence of two distributions over ids, by hand", "[compress]") {
  const std::vector<double> teacher{0, 0}, student{0, std::log(3.0)};  // (1/2, 1/2) and (1/4, 3/4)
  const double forward = 0.5 * std::log(2.0) + 0.5 * std::log(2.0 / 3),
               reverse = 0.25 * std::log(0.5) + 0.75 * std::log(1.5);

  CHECK(divergence({.beta = 0}, Discrete{2}, teacher, student) == Approx(forward));
  CHECK(divergence({.beta = 1}, Discrete{2}, teacher, student) == Approx(reverse));
  const double b = 0.3, m0 = b * 0.5 + (1 - b) * 0.25, m1 = b * 0.5 + (1 - b) * 0.75;
  const double jensen_shannon = b * (0.5 * std::log(0.5 / m0) + 0.5 * std::log(0.5 / m1)) +
                                (1 - b) * (0.25 * std::log(0.25 / m0) + 0.75 * std::log(0.75 / m1));
  CHECK(divergence({.beta = b}, Discrete{2}, teacher, student) == Approx(jensen_shannon / (b * (1 - b))));
  CHECK(divergence({.beta = 1e-3}, Discrete{2}, teacher, student) == Approx(forward).epsilon(2e-3));
  CHECK(divergence({.beta = 1 - 1e-3}, Discrete{2}, teacher, student) == Approx(reverse).epsilon(2e-3));

  const std::vector<double> hot_student{0, 2 * std::log(3.0)};
  CHECK(divergence({.temperature = 2}, Discrete{2}, teacher, hot_student) == Approx(4 * forward));
  CHECK(divergence({}, MultiDiscrete{{2, 2}}, {0, 0, 0, 0}, {0, std::log(3.0), std::log(3.0), 0}) ==
        Approx(2 * forward));
}

TEST_CASE("The divergence of two Gaussians is that of their densities, softened by powers", "[compress]") {
  const std::vector<double> teacher{0.4, -0.3}, student{-0.7, 0.2};  // mean, logarithm of the deviation
  const Space actions = Box{{-1}, {1}};
  for (const double temperature : {1.0, 2.5}) {
    const auto density = [&](const std::vector<double>& outputs) {
      return [&outputs, temperature](double x) {
        const double z = (x - outputs[0]) / std::exp(outputs[1]);
        return std::pow(std::exp(-z * z / 2), 1 / temperature);
      };
    };
    const double scale = temperature * temperature;

    CHECK(divergence({.temperature = temperature, .beta = 0}, actions, teacher, student) ==
          Approx(scale * integrated_kl(density(teacher), density(student))).epsilon(1e-6));
    CHECK(divergence({.temperature = temperature, .beta = 1}, actions, teacher, student) ==
          Approx(scale * integrated_kl(density(student), density(teacher))).epsilon(1e-6));
  }
}

TEST_CASE("The gradient of the divergence matches finite differences and is added", "[compress][gradient]") {
  for (const Space& actions : {Space{Discrete{4}}, Space{MultiDiscrete{{3, 2}}}, Space{Box{{-1, -1}, {1, 1}}}}) {
    const auto count = static_cast<std::size_t>(ActionDistribution{actions}.parameter_count());
    for (const double beta : {0.0, 0.001, 0.5, 0.9, 1.0}) {
      if (std::holds_alternative<Box>(actions) && beta != 0 && beta != 1) continue;
      const ActionDivergence measure{.temperature = 1.7, .beta = beta};
      Rng rng{3};
      std::vector<double> teacher(count), student(count), gradient(count, 5.0);
      for (double& output : teacher) output = rng.normal();
      for (double& output : student) output = rng.normal();

      const double value = divergence(measure, actions, teacher, student, gradient, 0.25);

      CHECK(value == divergence(measure, actions, teacher, student));
      for (std::size_t i = 0; i < count; ++i) {
        constexpr double h = 1e-5;
        std::vector<double> above = student, below = student;
        above[i] += h;
        below[i] -= h;
        const double slope =
            (divergence(measure, actions, teacher, above) - divergence(measure, actions, teacher, below)) / (2 * h);
        INFO("beta " << beta << ", output " << i);
        CHECK(gradient[i] - 5 == Approx(0.25 * slope).epsilon(1e-5).margin(1e-7));
      }
    }
  }
}

TEST_CASE("Equal outputs have a divergence and a gradient of exactly 0", "[compress]") {
  for (const double beta : {0.0, 0.3, 1.0}) {
    const std::vector<double> outputs{0.3, -1.2, 2.1, 0.7};
    for (const Space& actions : {Space{Discrete{4}}, Space{Box{{-1, -1}, {1, 1}}}}) {
      if (std::holds_alternative<Box>(actions) && beta == 0.3) continue;
      std::vector<double> gradient(4);

      CHECK(divergence({.temperature = 3, .beta = beta}, actions, outputs, outputs, gradient) == 0);
      CHECK(gradient == std::vector<double>(4));
    }
  }
}

TEST_CASE("The divergence of extreme outputs is finite, and NaN stays NaN", "[compress]") {
  for (const double beta : {0.0, 0.5, 1.0}) {
    std::vector<double> gradient(3);
    const double value =
        divergence({.temperature = 0.01, .beta = beta}, Discrete{3}, {1000, -1000, 0}, {-1000, 1000, 0}, gradient);
    CHECK(std::isfinite(value));
    for (const double slope : gradient) CHECK(std::isfinite(slope));
    const double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK(std::isnan(divergence({.beta = beta}, Discrete{3}, {0, 0, 0}, {nan, 0, 0})));
  }
}

TEST_CASE("A Gaussian's deviation beyond its bounds has no gradient", "[compress]") {
  std::vector<double> gradient(2);

  (void)divergence({}, Box{{-1}, {1}}, {0, 0}, {0.5, 10}, gradient);

  CHECK(gradient[0] != 0);
  CHECK(gradient[1] == 0);
}

TEST_CASE("A divergence out of its range is refused", "[compress]") {
  CHECK_THROWS_WITH(validate(ActionDivergence{.temperature = 0}),
                    ContainsSubstring("temperature is 0, it must lie in 0.01"));
  CHECK_THROWS_WITH(validate(ActionDivergence{.temperature = NAN}), ContainsSubstring("temperature is nan"));
  CHECK_THROWS_WITH(validate(ActionDivergence{.beta = -0.1}),
                    ContainsSubstring("beta is -0.1, it must be 0, 1, or lie in"));
  CHECK_THROWS_WITH(validate(ActionDivergence{.beta = 1e-5}), ContainsSubstring("beta is 1e-05"));
  CHECK_NOTHROW(validate(ActionDivergence{.temperature = 4, .beta = 0.5}));
}
