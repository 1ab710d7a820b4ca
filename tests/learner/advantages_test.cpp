// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/advantages.hpp>

#include <vector>

#include "support/catch.hpp"

using namespace icrl;

namespace {

std::vector<double> advantages(const std::vector<ValuedStep>& steps, double discount, double lambda) {
  std::vector<double> result(steps.size());
  generalized_advantages(steps, discount, lambda, result);
  return result;
}

// Values 1, 2, 4 and 8 of four observations in a row, rewards 10, 20 and 30.
const std::vector<ValuedStep> some_steps{{.reward = 10, .value = 1, .next_value = 2},
                                         {.reward = 20, .value = 2, .next_value = 4},
                                         {.reward = 30, .value = 4, .next_value = 8}};

}  // namespace

TEST_CASE("Advantages are worked out by hand", "[learner]") {
  // One-step errors at discount 1/2: 10 + 1 - 1, 20 + 2 - 2, 30 + 4 - 4.
  CHECK(advantages(some_steps, 0.5, 0) == std::vector<double>{10, 20, 30});
  // Each plus half of half the next advantage.
  CHECK(advantages(some_steps, 0.5, 0.5) == std::vector<double>{16.875, 27.5, 30});
}

TEST_CASE("With lambda 1 advantages are n-step returns minus values", "[learner]") {
  constexpr double discount = 0.5;

  const auto found = advantages(some_steps, discount, 1);

  CHECK(found[2] == 30 + discount * 8 - 4);
  CHECK(found[1] == 20 + discount * (30 + discount * 8) - 2);
  CHECK(found[0] == 10 + discount * (20 + discount * (30 + discount * 8)) - 1);
}

TEST_CASE("What follows counts through a truncation, not through a termination, and never in the next episode",
          "[learner]") {
  auto terminated = some_steps, truncated = some_steps, both = some_steps;
  terminated[1].terminated = true;
  truncated[1].truncated = true;
  both[1].terminated = both[1].truncated = true;

  CHECK(advantages(terminated, 0.5, 1) == std::vector<double>{10 + 0.5 * 20 - 1, 20 - 2, 30});
  CHECK(advantages(truncated, 0.5, 1) == std::vector<double>{10 + 0.5 * (20 + 0.5 * 4) - 1, 20 + 0.5 * 4 - 2, 30});
  CHECK(advantages(both, 0.5, 1) == advantages(terminated, 0.5, 1));
}

TEST_CASE("No steps have no advantages", "[learner]") { CHECK(advantages({}, 0.9, 0.9).empty()); }
