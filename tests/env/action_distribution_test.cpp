// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/action_distribution.hpp>

#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <span>
#include <vector>

#include <icrl/math/matrix.hpp>

#include "support/catch.hpp"
#include "support/gradient.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

double loss_of(const Space& space, const Matrix<double>& outputs, const std::vector<float>& action, double smoothing) {
  return ActionDistribution{space}.loss<double>({outputs.data(), static_cast<std::size_t>(outputs.size())}, action,
                                                smoothing);
}

/// How far the gradient is from that of finite differences.
double gradient_error(const Space& space, Matrix<double> outputs, const std::vector<float>& action, double smoothing) {
  constexpr double weight = 0.7;
  const auto size = static_cast<std::size_t>(outputs.size());
  Matrix<double> gradient(1, outputs.size());
  const double loss = ActionDistribution{space}.loss_and_gradient<double>({outputs.data(), size}, action, smoothing,
                                                                          weight, {gradient.data(), size});
  CHECK(loss == Approx(weight * loss_of(space, outputs, action, smoothing)));
  return relative_error(gradient,
                        numeric_gradient(outputs, [&] { return weight * loss_of(space, outputs, action, smoothing); }));
}

Matrix<double> row_of(const std::vector<double>& numbers) {
  Matrix<double> matrix(1, static_cast<Index>(numbers.size()));
  std::copy(numbers.begin(), numbers.end(), matrix.data());
  return matrix;
}

/// How often each id of a Discrete space is drawn, of 4000 times.
std::vector<int> counts(const std::vector<float>& logits, const Decoding& decoding,
                        const std::vector<std::uint8_t>& allowed = {}) {
  const ActionDistribution actions{Discrete{static_cast<int>(logits.size())}};
  std::vector<int> found(logits.size());
  Rng rng{4};
  std::array<float, 1> action{};
  for (int i = 0; i < 4000; ++i) {
    actions.sample<float>(logits, decoding, allowed, rng, action);
    ++found[static_cast<std::size_t>(action[0])];
  }
  return found;
}

float logit(double probability) { return static_cast<float>(std::log(probability)); }

}  // namespace

TEST_CASE("The loss of ids is the sum of their softmaxes' surprise", "[env]") {
  const Matrix<double> outputs =
      row_of({std::log(0.5), std::log(0.25), std::log(0.25), 3 + std::log(0.9), 3 + std::log(0.1)});
  const Space space = MultiDiscrete{{3, 2}};

  CHECK(ActionDistribution{space}.parameter_count() == 5);
  CHECK(ActionDistribution{space}.action_size() == 2);
  CHECK(loss_of(space, outputs, {1, 0}, 0) == Approx(-std::log(0.25) - std::log(0.9)));
  CHECK(loss_of(space, outputs, {1, 0}, 0.2) ==
        Approx(0.8 * (-std::log(0.25) - std::log(0.9)) +
               0.2 * (-std::log(0.5 * 0.25 * 0.25) / 3 - std::log(0.9 * 0.1) / 2)));
}

TEST_CASE("The loss of numbers is a diagonal Gaussian's", "[env]") {
  const Space space = Box{{-9, -9}, {9, 9}};
  const double log_2pi = std::log(2 * std::acos(-1.0));

  CHECK(ActionDistribution{space}.parameter_count() == 4);
  CHECK(loss_of(space, row_of({1, -1, 0, std::log(2.0)}), {1, 3}, 0) == Approx(0.5 * 4 + std::log(2.0) + log_2pi));
  CHECK(loss_of(space, row_of({0, 0, -50, 50}), {0, 0}, 0) == Approx(-7 + 3 + log_2pi));
}

TEST_CASE("The loss's gradient matches finite differences", "[env][gradient]") {
  for (const double smoothing : {0.0, 0.3}) {
    CHECK(gradient_error(Discrete{4}, row_of({0.3, -1, 2, 0.5}), {2}, smoothing) <= 1e-8);
    CHECK(gradient_error(MultiDiscrete{{2, 3}}, row_of({0.3, -1, 2, 0.5, -4}), {0, 2}, smoothing) <= 1e-8);
  }
  CHECK(gradient_error(Box{{-1, -1}, {1, 1}}, row_of({0.3, -0.2, -1, 0.5}), {0.9f, -1}, 0) <= 1e-8);
  CHECK(gradient_error(Box{{-1, -1}, {1, 1}}, row_of({0.3, -0.2, -8, 4}), {0.3f, -1}, 0) <= 1e-8);
}

TEST_CASE("Entropy of ids and of numbers is what the formulas say", "[env]") {
  const auto entropy = [](const Space& space, const std::vector<double>& outputs) {
    return ActionDistribution{space}.entropy<double>(outputs);
  };

  CHECK(entropy(Discrete{4}, {1, 1, 1, 1}) == Approx(std::log(4.0)));
  CHECK(entropy(Discrete{2}, {std::log(0.25), std::log(0.75)}) ==
        Approx(-0.25 * std::log(0.25) - 0.75 * std::log(0.75)));
  CHECK(entropy(MultiDiscrete{{2, 3}}, {0, 0, 5, 5, 5}) == Approx(std::log(2.0) + std::log(3.0)));
  CHECK(entropy(Box{{-9, -9}, {9, 9}}, {0.5, 3, 0, -1}) ==
        Approx(2 * 0.5 * std::log(2 * std::numbers::pi * std::numbers::e) - 1));
  CHECK(entropy(Discrete{3}, {1000, 0, 0}) == 0);  // no 0 times infinity
}

TEST_CASE("The entropy's gradient matches finite differences and is added", "[env][gradient]") {
  const auto error = [](const Space& space, Matrix<double> outputs) {
    const ActionDistribution actions{space};
    const auto numbers = [&] {
      return std::span<const double>{outputs.data(), static_cast<std::size_t>(outputs.size())};
    };
    Matrix<double> gradient = Matrix<double>::Constant(1, outputs.size(), 0.25);
    const double entropy = actions.add_entropy_gradient<double>(
        numbers(), -0.7, {gradient.data(), static_cast<std::size_t>(gradient.size())});
    CHECK(entropy == Approx(actions.entropy<double>(numbers())));
    gradient.array() -= 0.25;
    return relative_error(gradient,
                          numeric_gradient(outputs, [&] { return -0.7 * actions.entropy<double>(numbers()); }));
  };

  CHECK(error(Discrete{5}, row_of({0.5, -1, 2, 0.25, 0})) < 1e-9);
  CHECK(error(MultiDiscrete{{2, 3}}, row_of({0.5, -1, 2, 0.25, 0})) < 1e-9);
  CHECK(error(Box{{-1, -1, -1}, {1, 1, 1}}, row_of({0.5, -1, 2, 0.25, -8, 4})) < 1e-9);
}

TEST_CASE("Min-p keeps what is no less likely than its share of the likeliest", "[env]") {
  const std::vector<float> logits{logit(0.5), logit(0.3), logit(0.2)};

  CHECK(counts(logits, {.min_p = 0.39})[2] > 0);
  const std::vector<int> two = counts(logits, {.min_p = 0.41});
  CHECK(two[2] == 0);
  CHECK(two[0] / 4000.0 == Approx(0.625).margin(0.03));
  CHECK(counts(logits, {.min_p = 0.61}) == std::vector{4000, 0, 0});
  CHECK(counts(logits, {.min_p = 1}) == std::vector{4000, 0, 0});
}

TEST_CASE("Min-p counts what temperature and mask leave", "[env]") {
  const std::vector<float> logits{logit(0.5), logit(0.3), logit(0.2)};

  CHECK(counts(logits, {.temperature = 2, .min_p = 0.41})[2] > 0);     // (2/5)^(1/2) = 0.63
  CHECK(counts(logits, {.temperature = 0.5, .min_p = 0.41})[1] == 0);  // (3/5)^2 = 0.36
  const std::vector<int> masked = counts(logits, {.min_p = 0.6}, {0, 1, 1});
  CHECK(masked[0] == 0);
  CHECK(masked[2] / 4000.0 == Approx(0.4).margin(0.03));
}

TEST_CASE("Numbers are drawn with their deviation times the temperature, inside the box", "[env]") {
  const ActionDistribution actions{Box{{-1, -1}, {1, 1}}};
  const std::array<float, 4> outputs{0.25f, 5, std::log(0.1f), std::log(0.1f)};
  Rng rng{5};
  std::array<float, 2> action{};
  double sum = 0, squares = 0;
  for (int i = 0; i < 4000; ++i) {
    actions.sample<float>(outputs, {.temperature = 0.5}, {}, rng, action);
    sum += static_cast<double>(action[0]);
    squares += (static_cast<double>(action[0]) - 0.25) * (static_cast<double>(action[0]) - 0.25);
    REQUIRE(action[1] == 1.0f);
  }
  CHECK(sum / 4000 == Approx(0.25).margin(0.005));
  CHECK(std::sqrt(squares / 4000) == Approx(0.05).epsilon(0.05));
}

TEST_CASE("Numbers without bounds stay finite at any temperature", "[env]") {
  constexpr float infinity = std::numeric_limits<float>::infinity(), most = std::numeric_limits<float>::max();
  const Space space = Box{{-infinity, -infinity, 0}, {infinity, 1, infinity}};
  const ActionDistribution actions{space};
  const std::array<float, 6> outputs{0, 0, 0, 3, 3, 3};
  Rng rng{5};
  std::array<float, 3> action{};
  bool was_least = false, was_most = false;
  for (int i = 0; i < 100; ++i) {
    actions.sample<float>(outputs, {.temperature = 1e300}, {}, rng, action);
    REQUIRE(contains(space, action));
    was_least = was_least || action[0] == -most;
    was_most = was_most || action[2] == most;
  }
  CHECK(was_least);
  CHECK(was_most);
}
