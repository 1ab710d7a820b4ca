// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/time_limit.hpp>

#include <array>
#include <cstdint>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/tiny_environments.hpp"

using namespace icrl;
using test::Corridor;

TEST_CASE("A time limit truncates after its steps, in every episode", "[env]") {
  Rng rng{0};
  TimeLimit limited{Corridor{.cells = 100, .horizon = 1000}, 3};
  for (int episode = 0; episode < 2; ++episode) {
    limited.reset(rng);
    CHECK_FALSE(limited.step(1, rng).truncated);
    CHECK_FALSE(limited.step(1, rng).truncated);
    const StepResult last = limited.step(1, rng);
    CHECK(last.truncated);
    CHECK_FALSE(last.terminated);
    CHECK(limited.inner().position == 3);
  }
}

TEST_CASE("A time limit leaves earlier ends as they are", "[env]") {
  Rng rng{0};
  TimeLimit terminating{Corridor{.cells = 3, .horizon = 1000}, 2};
  terminating.reset(rng);
  terminating.step(1, rng);
  const StepResult end = terminating.step(1, rng);  // at the goal with the last step allowed
  CHECK(end.reward == 1);
  CHECK(end.terminated);
  CHECK_FALSE(end.truncated);

  TimeLimit truncating{Corridor{.cells = 100, .horizon = 2}, 50};
  truncating.reset(rng);
  truncating.step(1, rng);
  CHECK(truncating.step(1, rng).truncated);
}

TEST_CASE("A time limit offers what the environment inside offers, and no more", "[env]") {
  STATIC_REQUIRE(Environment<TimeLimit<Corridor>>);
  STATIC_REQUIRE(StepsById<TimeLimit<Corridor>>);
  STATIC_REQUIRE_FALSE(StepsByValues<TimeLimit<Corridor>>);
  STATIC_REQUIRE_FALSE(HasActionMask<TimeLimit<Corridor>>);
  STATIC_REQUIRE(StepsByValues<TimeLimit<test::Slider>>);
  STATIC_REQUIRE_FALSE(StepsById<TimeLimit<test::Slider>>);
  STATIC_REQUIRE(HasActionMask<TimeLimit<test::TurnTaking>>);

  Rng rng{0};
  TimeLimit masked{test::TurnTaking{}, 4};
  masked.reset(rng);
  masked.step(0, rng);
  std::array<std::uint8_t, 4> allowed{};
  masked.action_mask(allowed);
  CHECK(allowed == std::array<std::uint8_t, 4>{0, 1, 0, 1});
  CHECK(masked.observation_space() == test::TurnTaking{}.observation_space());
  CHECK(masked.action_space() == test::TurnTaking{}.action_space());

  TimeLimit slider{test::Slider{}, 4};
  slider.reset(rng);
  CHECK(slider.step(std::array{0.5f}, rng).reward == 0.5f);
  std::array<float, 1> seen{};
  slider.observe(seen);
  CHECK(seen[0] == 0.5f);
}

TEST_CASE("A time limit of no steps is refused", "[env]") {
  CHECK(test::error_of([] { TimeLimit{Corridor{}, 0}; }) == "time limit: step_limit is 0, it must be at least 1");
}
