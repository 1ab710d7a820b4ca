// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/random_learner.hpp>

#include <array>
#include <cmath>
#include <vector>

#include "support/catch.hpp"
#include "support/histories.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("A random policy takes every action equally often", "[learner]") {
  RandomPolicy policy{Discrete{5}};
  Rng rng{1};
  std::array<int, 5> hits{};
  for (int i = 0; i < 50000; ++i) {
    std::array<float, 1> action;
    policy.act({}, action, rng);
    ++hits[static_cast<std::size_t>(action[0])];
  }

  for (const int hit : hits) CHECK(std::abs(hit - 10000) < 540);  // six standard deviations
}

TEST_CASE("A random policy takes every allowed action equally often and no other", "[learner]") {
  RandomPolicy policy{Discrete{5}};
  Rng rng{1};
  const std::array<std::uint8_t, 5> allowed{0, 1, 0, 7, 1};
  std::array<int, 5> hits{};
  for (int i = 0; i < 30000; ++i) {
    std::array<float, 1> action;
    policy.act({}, allowed, action, rng);
    ++hits[static_cast<std::size_t>(action[0])];
  }

  CHECK(hits[0] + hits[2] == 0);
  for (const std::size_t a : {1u, 3u, 4u}) CHECK(std::abs(hits[a] - 10000) < 490);
}

TEST_CASE("A mask that allows nothing is refused", "[learner]") {
  Rng rng{1};
  const std::array<std::uint8_t, 3> nothing{};

  CHECK(has(error_of([&] { (void)random_allowed(nothing, rng); }), "none of the 3 actions is allowed"));
}

TEST_CASE("A random policy of several ids refuses a mask", "[learner]") {
  RandomPolicy policy{MultiDiscrete{{2, 3}}};
  Rng rng{1};
  std::array<float, 2> action{};
  const std::array<std::uint8_t, 5> allowed{1, 1, 1, 1, 1};

  CHECK(has(error_of([&] { policy.act({}, allowed, action, rng); }),
            "the mask has 5 actions, but the action space is multi_discrete(2, 3)"));
  policy = RandomPolicy{Discrete{4}};
  CHECK(has(error_of([&] { policy.act({}, allowed, std::span{action}.first(1), rng); }), "discrete(4)"));
}

TEST_CASE("A random policy stays inside a box", "[learner]") {
  const Space box = Box{{-1, 2}, {1, 3}};
  RandomPolicy policy{box};
  Rng rng{1};
  for (int i = 0; i < 1000; ++i) {
    std::array<float, 2> action;
    policy.act({}, action, rng);
    REQUIRE(contains(box, action));
  }
}

TEST_CASE("A random policy refuses an environment of other actions", "[learner]") {
  const RandomPolicy policy{Discrete{4}};

  CHECK_NOTHROW(policy.check_spaces(Box{{0}, {1}}, Discrete{4}));
  CHECK(has(error_of([&] {
              policy.check_spaces(Discrete{4}, MultiDiscrete{{2, 2}});
            }),
            "random policy: its action space and the environment's differ: discrete(4) and multi_discrete(2, 2)"));
}
