// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/lin_ucb.hpp>

#include <cmath>
#include <cstddef>
#include <vector>

#include <icrl/env/linear_bandit.hpp>
#include <icrl/learner/random_learner.hpp>

#include "support/bandit_regret.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

using Numbers = std::vector<double>;

/// The solution of a x = b by Gaussian elimination; a is symmetric and positive definite.
Numbers solved(std::vector<Numbers> a, Numbers b) {
  const std::size_t d = b.size();
  for (std::size_t i = 0; i < d; ++i) {
    for (std::size_t row = i + 1; row < d; ++row) {
      const double factor = a[row][i] / a[i][i];
      for (std::size_t j = i; j < d; ++j) a[row][j] -= factor * a[i][j];
      b[row] -= factor * b[i];
    }
  }
  for (std::size_t i = d; i-- > 0;) {
    for (std::size_t j = i + 1; j < d; ++j) b[i] -= a[i][j] * b[j];
    b[i] /= a[i][i];
  }
  return b;
}

double product(const Numbers& one, const std::vector<float>& other) {
  double sum = 0;
  for (std::size_t i = 0; i < one.size(); ++i) sum += one[i] * static_cast<double>(other[i]);
  return sum;
}

}  // namespace

TEST_CASE("LinUCB's weights and indices are those of ridge regression", "[learner]") {
  constexpr std::size_t d = 4;
  constexpr double ridge = 0.7, exploration = 0.6;
  LinUcb learner{d, 2, {.exploration = exploration, .ridge = ridge}};
  std::vector<std::vector<Numbers>> a(2, std::vector<Numbers>(d, Numbers(d)));
  std::vector<Numbers> b(2, Numbers(d));
  for (auto& matrix : a)
    for (std::size_t i = 0; i < d; ++i) matrix[i][i] = ridge;
  Rng rng{1};
  std::vector<float> x(d), action(1);
  for (int step = 0; step < 60; ++step) {
    for (float& number : x) number = static_cast<float>(rng.normal());
    std::vector<double> index;
    for (std::size_t arm = 0; arm < 2; ++arm) {
      const Numbers weights = solved(a[arm], b[arm]), uncertain = solved(a[arm], Numbers(x.begin(), x.end()));
      for (std::size_t i = 0; i < d; ++i)
        REQUIRE(learner.weights(static_cast<int>(arm))[i] == Approx(weights[i]).margin(1e-9));
      index.push_back(product(weights, x) + exploration * std::sqrt(product(uncertain, x)));
    }
    learner.act(x, action, rng);
    REQUIRE(static_cast<int>(action[0]) == (index[1] > index[0] ? 1 : 0));

    const auto arm = static_cast<std::size_t>(action[0]);
    const float reward = static_cast<float>(rng.normal());
    learner.learn({x, action, reward});
    for (std::size_t i = 0; i < d; ++i) {
      for (std::size_t j = 0; j < d; ++j) a[arm][i][j] += static_cast<double>(x[i]) * static_cast<double>(x[j]);
      b[arm][i] += static_cast<double>(reward) * static_cast<double>(x[i]);
    }
  }
}

TEST_CASE("LinUCB solves contextual linear bandits", "[learner]") {
  const LinearBandits bandits{{.features = 3, .arms = 4}};
  const double random =
      mean_regret(bandits, 50, 400, [](const auto& bandit) { return RandomPolicy{bandit.action_space()}; });
  const auto regret = [&](int pulls) {
    return mean_regret(bandits, 50, pulls, [](const auto&) { return LinUcb{3, 4, {.exploration = 0.5}}; });
  };

  CHECK(regret(400) < 0.06 * random);
  CHECK(regret(400) < 2 * regret(100));
}

TEST_CASE("LinUCB refuses spaces and settings that it cannot use", "[learner]") {
  CHECK(error_of([] { LinUcb(0, 2); }) == "linucb: features is 0, it must lie in 1 .. 4096");
  CHECK(error_of([] { LinUcb(4096, 65535); }) ==
        "linucb: 65535 arms of 4096 features take 1099494850560 numbers, at most 268435456 are allowed");
  CHECK(error_of([] { LinUcb(2, 2, {.ridge = 0}); }) == "linucb: ridge is 0, it must lie in [1e-6, 1e6]");
  CHECK(error_of([] { LinUcb(2, 2, {.exploration = -1}); }) == "linucb: exploration is -1, it must be 0 or more");
  CHECK(error_of([] { LinUcb(2, 2).check_spaces(Discrete{2}, Discrete{2}); }) ==
        "linucb: observations must be a box of 2 numbers, not discrete(2)");
}
