// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/actor_group.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("Each actor's steps are valued as a stream of its own, in whatever order they arrive", "[learner]") {
  Rng rng{1};
  const Space ids = Discrete{3};
  ActorGroup actors{"group", 2, {4}, Activation::tanh, ids, Discrete{2}, rng};
  const std::array<float, 3> cells{0, 1, 2};
  const std::array<float, 1> action{1};
  const auto store = [&](int member, std::size_t from, std::size_t to, float reward, bool ends) {
    actors.store(member, {.observation = std::span{cells}.subspan(from, 1),
                          .action = action,
                          .reward = reward,
                          .next_observation = std::span{cells}.subspan(to, 1),
                          .terminated = ends});
  };
  store(0, 0, 1, 1, false);
  store(1, 2, 0, 5, false);
  store(0, 1, 2, 2, true);
  store(1, 0, 1, 7, true);
  REQUIRE(actors.step_count() == 4);
  REQUIRE(actors.taken().size() == 4);

  // With lambda 1 a return is the discounted sum of the rewards to the end of the episode, whatever the values.
  Matrix<float> values(4, 1);
  decltype(actors.network().value)::Cache cache;
  actors.network().value.forward(actors.features(), cache, values);
  actors.estimate_advantages(values, 0.5, 1);
  const std::array<double, 4> returns{1 + 0.5 * 2, 5 + 0.5 * 7, 2, 7};
  for (std::size_t i = 0; i < 4; ++i) {
    const double value = static_cast<double>(values(static_cast<Index>(i), 0));
    CHECK(static_cast<double>(actors.returns()[i]) == Approx(returns[i]).epsilon(1e-5));
    CHECK(static_cast<double>(actors.advantages()[i]) == Approx(returns[i] - value).epsilon(1e-5));
  }

  actors.clear();
  CHECK(actors.step_count() == 0);
  CHECK(actors.taken().empty());
}

TEST_CASE("A group's errors begin with the name of its learner", "[learner]") {
  Rng rng{1};
  CHECK(has(error_of([&] { (void)ActorGroup("group", 1, {4}, Activation::tanh, Discrete{2}, Discrete{0}, rng); }),
            "group, actions: "));
  CHECK(has(error_of([&] { (void)ActorGroup("group", 1, {4}, Activation::tanh, Discrete{0}, Discrete{2}, rng); }),
            "group, observations"));
}

TEST_CASE("The policy learns from what it sampled of a Box, before clipping", "[learner]") {
  Rng rng{1};
  const Space space = Box{{0}, {0.25f}};
  ActorGroup actors{"group", 1, {4}, Activation::tanh, Discrete{1}, space, rng};
  const std::array<float, 1> observation{0};
  std::array<float, 1> action{};
  std::vector<Rng> rngs{Rng{2}};
  int below = 0, above = 0;
  for (int i = 0; i < 100; ++i) {
    actors.sample({.members = std::array{0}, .observations = observation, .masks = {}}, action, rngs);
    REQUIRE((action[0] >= 0 && action[0] <= 0.25f));
    actors.store(0, {.observation = observation, .action = action, .next_observation = observation});
    const float taken = actors.taken().back();  // in units in which the bounds are -1 and 1
    CHECK(std::clamp(0.125f + 0.125f * taken, 0.0f, 0.25f) == action[0]);
    below += taken < -1;
    above += taken > 1;
  }
  CHECK(below > 5);
  CHECK(above > 5);

  // Somebody else's action is learned from as it is.
  action[0] = 0.1875f;
  actors.store(0, {.observation = observation, .action = action, .next_observation = observation});
  CHECK(actors.taken().back() == 0.5f);
}

TEST_CASE("A policy begins in the middle of a Box, whatever its bounds", "[learner]") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const std::array<float, 1> observation{0};
  for (const auto& [low, high, middle, deviation] :
       {std::array{-1.0f, 1.0f, 0.0f, 0.6f}, std::array{0.0f, 100.0f, 50.0f, 30.0f},
        std::array{-infinity, infinity, 0.0f, 1.0f}, std::array{-infinity, 5.0f, 0.0f, 1.0f},
        std::array{2.0f, 2.0f, 2.0f, 0.0f}}) {
    CAPTURE(low, high);
    Rng rng{1};
    ActorGroup actors{"group", 1, {4}, Activation::tanh, Discrete{1}, Box{{low}, {high}}, rng};
    std::vector<Rng> rngs{Rng{2}};
    double sum = 0, squares = 0;
    for (int i = 0; i < 1000; ++i) {
      std::array<float, 1> action{};
      actors.sample({.members = std::array{0}, .observations = observation, .masks = {}}, action, rngs);
      sum += static_cast<double>(action[0] - middle);
      squares += static_cast<double>((action[0] - middle) * (action[0] - middle));
    }
    CHECK(std::abs(sum / 1000) <= 0.15 * static_cast<double>(deviation));
    CHECK(std::sqrt(squares / 1000) >= 0.9 * static_cast<double>(deviation));
    CHECK(std::sqrt(squares / 1000) <= 1.3 * static_cast<double>(deviation));
  }
}
