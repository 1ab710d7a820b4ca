// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/environment.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

struct Base {
  [[nodiscard]] Space observation_space() const { return Discrete{2}; }
  [[nodiscard]] Discrete action_space() const { return {3}; }  // what converts to a Space will do
  void reset(Rng&) {}
  void observe(std::span<float> out) const { out[0] = 0; }
};
struct ById : Base {
  StepResult step(int action, Rng&) { return {static_cast<float>(action)}; }
};
struct ByValues : Base {
  StepResult step(std::span<const float> action, Rng&) { return {action[0] / 2}; }
};
struct ByBoth : ById {
  using ById::step;
  StepResult step(std::span<const float> action, Rng&) { return {action[0] / 2}; }
};
struct Masked : ById {
  void action_mask(std::span<std::uint8_t> allowed) const { allowed[0] = 1; }
};
struct Unsteppable : Base {};
struct ByText : Base {
  StepResult step(const char* action, Rng&) { return {static_cast<float>(*action)}; }
};
struct ByFloat : Base {
  StepResult step(float action, Rng&) { return {action}; }
};
struct ByShort : Base {
  StepResult step(short action, Rng&) { return {static_cast<float>(action)}; }
};
struct BySize : Base {
  StepResult step(std::size_t action, Rng&) { return {static_cast<float>(action)}; }
};
struct ByReference : Base {
  StepResult step(const int& action, Rng&) { return {static_cast<float>(action)}; }
};
struct ByIntOrFloat : ById {
  using ById::step;
  StepResult step(float action, Rng&) { return {action / 2}; }
};
struct OfTwoIds : ById {
  [[nodiscard]] Space action_space() const { return MultiDiscrete{{3, 4}}; }
};
struct Uncopyable : ById {
  Uncopyable(const Uncopyable&) = delete;
};
struct Unresettable : ById {
  void reset() {}
};
struct ObservesByValue : ById {
  [[nodiscard]] std::array<float, 1> observe() const { return {}; }
};

}  // namespace

TEST_CASE("An environment steps by id, by values, or by both", "[env]") {
  STATIC_REQUIRE(Environment<ById>);
  STATIC_REQUIRE(Environment<ByValues>);
  STATIC_REQUIRE(Environment<ByBoth>);

  Rng rng{0};
  const std::array action{2.0f};
  ById by_id;
  ByValues by_values;
  ByBoth by_both;
  CHECK(step(by_id, action, rng).reward == 2);
  CHECK(step(by_values, action, rng).reward == 1);
  CHECK(step(by_both, action, rng).reward == 1);
}

TEST_CASE("What breaks a promise is no environment", "[env]") {
  STATIC_REQUIRE_FALSE(Environment<int>);
  STATIC_REQUIRE_FALSE(Environment<Unsteppable>);
  STATIC_REQUIRE_FALSE(Environment<ByText>);
  STATIC_REQUIRE_FALSE(Environment<Uncopyable>);
  STATIC_REQUIRE_FALSE(Environment<ById&>);
  STATIC_REQUIRE_FALSE(Environment<Unresettable>);
  STATIC_REQUIRE_FALSE(Environment<ObservesByValue>);
}

TEST_CASE("A step that would lose a part of an id is none, any that takes all of it is one", "[env]") {
  STATIC_REQUIRE_FALSE(Environment<ByFloat>);
  STATIC_REQUIRE_FALSE(Environment<ByShort>);
  STATIC_REQUIRE_FALSE(StepKeepsIds<ByFloat>);
  STATIC_REQUIRE(StepsById<ByFloat>);
  STATIC_REQUIRE(Environment<BySize>);
  STATIC_REQUIRE(Environment<ByReference>);
  STATIC_REQUIRE(Environment<ByIntOrFloat>);
}

TEST_CASE("An environment that steps by one id has to have actions of one id", "[env]") {
  CHECK(error_of([] { check_step_takes<ById>(Discrete{3}, "the task"); }).empty());
  CHECK(error_of([] { check_step_takes<ByValues>(MultiDiscrete{{3, 4}}, "the task"); }).empty());
  CHECK(error_of([] {
          check_step_takes<OfTwoIds>(MultiDiscrete{{3, 4}}, "the task");
        }) ==
        "the task: step takes one id, but its action space is multi_discrete(3, 4) (write step(std::span<const float>, "
        "Rng&))");
  CHECK(has(error_of([] { check_step_takes<ById>(Box{{0}, {1}}, "the task"); }), "is box([0], [1])"));
}

TEST_CASE("A mask is an offer, not a duty", "[env]") {
  STATIC_REQUIRE(HasActionMask<Masked>);
  STATIC_REQUIRE_FALSE(HasActionMask<ById>);
}

TEST_CASE("A step ends nothing unless it says so", "[env]") {
  const StepResult result{1};

  CHECK_FALSE(result.terminated);
  CHECK_FALSE(result.truncated);
}
