// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/switching_bandit.hpp>

#include <vector>

#include <icrl/env/check_environment.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// The best arm at each of some pulls, whatever is pulled.
std::vector<int> best_arms(SwitchingBandit bandit, int pulls, std::uint64_t seed) {
  std::vector<int> arms;
  Rng rng{seed};
  for (int i = 0; i < pulls; ++i) {
    bandit.reset(rng);
    arms.push_back(bandit.best_arm());
    (void)bandit.step(rng.below(bandit.options().arms), rng);
  }
  return arms;
}

int changes_in(const std::vector<int>& arms) {
  int changes = 0;
  for (std::size_t i = 1; i < arms.size(); ++i) changes += arms[i] != arms[i - 1];
  return changes;
}

}  // namespace

TEST_CASE("A switching bandit keeps the promises of environments", "[env]") {
  const EnvironmentReport report = check_environment(SwitchingBandits{{.change_probability = 0.5}}.make(5));
  INFO(report.text());
  CHECK(report.ok());
}

TEST_CASE("The best arm changes as often as it should, and always to another one", "[env]") {
  const SwitchingBandits bandits{{.arms = 3, .change_probability = 0.1}};
  int changes = 0;
  std::vector<int> first(3);
  for (int task = 0; task < 300; ++task) {
    const std::vector<int> arms = best_arms(bandits.make(task), 101, 0);
    changes += changes_in(arms);
    ++first[static_cast<std::size_t>(arms[0])];
  }

  CHECK(changes / 30'000.0 == Approx(0.1).margin(0.007));
  for (const int count : first) CHECK(count == Approx(100).margin(30));
  CHECK(changes_in(best_arms(SwitchingBandits{{.change_probability = 1}}.make(0), 51, 0)) == 50);
}

TEST_CASE("With change_after the best arm changes exactly then", "[env]") {
  const SwitchingBandits bandits{{.arms = 5, .change_probability = 0, .change_after = 7}};
  for (int task = 0; task < 40; ++task) {
    const std::vector<int> arms = best_arms(bandits.make(task), 30, 0);
    CHECK(changes_in(arms) == 1);
    CHECK(arms[6] != arms[7]);
  }
}

TEST_CASE("The generator and what is pulled do not decide when the best arm changes", "[env]") {
  const SwitchingBandit bandit = SwitchingBandits{{.change_probability = 0.2}}.make(4);

  CHECK(best_arms(bandit, 100, 1) == best_arms(bandit, 100, 2));
  CHECK(best_arms(bandit, 100, 1) != best_arms(SwitchingBandits{{.change_probability = 0.2}}.make(5), 100, 1));
}

TEST_CASE("The returns of a switching bandit are what the best and random pulls earn", "[env]") {
  const SwitchingBandits bandits{{.arms = 4, .change_probability = 0.3}};
  SwitchingBandit bandit = bandits.make(1);
  Rng rng{3};
  double best = 0, random = 0;
  for (int i = 0; i < 20'000; ++i) {
    bandit.reset(rng);
    best += static_cast<double>(bandit.step(bandit.best_arm(), rng).reward) / 20'000;
    bandit.reset(rng);
    random += static_cast<double>(bandit.step(rng.below(4), rng).reward) / 20'000;
  }

  CHECK(bandits.oracle_return(1) == 0.9);
  CHECK(bandits.oracle_return(1) == Approx(best).margin(0.01));
  CHECK(bandits.random_return(1) == Approx(random).margin(0.015));
}

TEST_CASE("What is no switching bandit is refused", "[env]") {
  CHECK(error_of([] { (void)SwitchingBandits{{.good = 0.1, .bad = 0.2}}; }) ==
        "switching bandits: good is 0.1 and bad is 0.2, but the best arm must not pay less");
  CHECK(error_of([] { (void)SwitchingBandits{{.change_probability = -0.5}}; }) ==
        "switching bandits: change_probability is -0.5, it must lie in [0, 1]");
  CHECK(error_of([] { (void)SwitchingBandits{{.change_after = -1}}; }) ==
        "switching bandits: change_after is -1, it must not be negative");
}
