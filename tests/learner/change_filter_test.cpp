// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/change_filter.hpp>

#include <array>
#include <vector>

#include <icrl/learner/thompson_sampling.hpp>

#include "support/bandit_regret.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("A change filter's beliefs are the posterior, summed over all sequences of best arms", "[learner]") {
  const SwitchingBanditOptions options{.arms = 3, .good = 0.8, .bad = 0.3, .change_probability = 0.2};
  const std::vector<int> arms{0, 0, 2, 1};
  const std::vector<float> rewards{0, 1, 0, 1};
  ChangeFilter filter{options};
  for (std::size_t i = 0; i < arms.size(); ++i) {
    const std::array<float, 1> observation{}, action{static_cast<float>(arms[i])};
    filter.learn({observation, action, rewards[i]});
  }

  // All 3^5 sequences: four pulls and the next one.
  std::vector<double> mass(3);
  for (int code = 0; code < 243; ++code) {
    int rest = code, before = -1;
    double probability = 1;
    for (std::size_t i = 0; i < 5; ++i) {
      const int best = rest % 3;
      rest /= 3;
      if (before >= 0) probability *= best == before ? 0.8 : 0.1;
      if (i < 4) {
        const double pays = arms[i] == best ? 0.8 : 0.3;
        probability *= rewards[i] > 0 ? pays : 1 - pays;
      }
      before = best;
    }
    mass[static_cast<std::size_t>(before)] += probability;
  }
  for (int arm = 0; arm < 3; ++arm)
    CHECK(filter.belief(arm) == Approx(mass[static_cast<std::size_t>(arm)] / (mass[0] + mass[1] + mass[2])));
}

TEST_CASE("A change filter loses little at a change, less than Thompson sampling with a window", "[learner]") {
  const SwitchingBandits training{{.arms = 5}}, bandits{{.arms = 5, .change_probability = 0, .change_after = 100}};
  const double filter = mean_regret(bandits, 200, 200, [&](const auto&) { return ChangeFilter{training.options()}; });
  const double thompson = mean_regret(bandits, 200, 200, [](const auto&) {
    return BernoulliThompson{5, {.window = 50}};
  });

  CHECK(filter < 12);
  CHECK(thompson > 2 * filter);
}

TEST_CASE("A change filter pulls each of equal arms, and survives what its options rule out", "[learner]") {
  std::array<float, 1> observation{}, action{};
  Rng rng{1};
  ChangeFilter filter{{.arms = 3, .good = 1, .bad = 0, .change_probability = 0}};
  std::vector<int> pulled(3);
  for (int i = 0; i < 600; ++i) {
    filter.act(observation, action, rng);
    ++pulled[static_cast<std::size_t>(action[0])];
  }
  for (const int count : pulled) CHECK(count > 150);

  action[0] = 0;
  filter.learn({observation, action, 1});
  CHECK(filter.belief(0) == 1);
  filter.learn({observation, action, 0});  // impossible
  CHECK(filter.belief(0) == Approx(1.0 / 3));
  CHECK(has(error_of([] { ChangeFilter{{.arms = 3}}.check_spaces(Discrete{1}, Discrete{2}); }),
            "change filter: its action space"));
}
