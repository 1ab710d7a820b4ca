// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/environment.hpp>

#include <array>
#include <cstdint>
#include <span>

#include "support/catch.hpp"

using namespace icrl;

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

TEST_CASE("A mask is an offer, not a duty", "[env]") {
  STATIC_REQUIRE(HasActionMask<Masked>);
  STATIC_REQUIRE_FALSE(HasActionMask<ById>);
}

TEST_CASE("A step ends nothing unless it says so", "[env]") {
  const StepResult result{1};

  CHECK_FALSE(result.terminated);
  CHECK_FALSE(result.truncated);
}
