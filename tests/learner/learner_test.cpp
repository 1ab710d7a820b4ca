// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/learner.hpp>

#include <array>
#include <vector>

#include "support/catch.hpp"

using namespace icrl;

namespace {

/// Always does the same, and counts what it is told.
struct Stubborn {
  float choice;
  int learned = 0;

  void act(std::span<const float>, std::span<float> action, Rng&) { action[0] = choice; }
  void learn(const Transition&) { ++learned; }
};
struct OnlyActs {
  void act(std::span<const float>, std::span<float>, Rng&) {}
};
struct Masked : Stubborn {
  using Stubborn::act;
  void act(std::span<const float>, std::span<const std::uint8_t> allowed, std::span<float> action, Rng&) {
    action[0] = static_cast<float>(allowed.size());
  }
};

static_assert(Learner<Stubborn> && !MaskedPolicy<Stubborn> && MaskedPolicy<Masked>);
static_assert(Policy<OnlyActs> && !Learner<OnlyActs>);
static_assert(GroupLearner<LearnerGroup<Stubborn>> && !GroupLearner<Stubborn>);

}  // namespace

TEST_CASE("A group of learners asks each member for its own row", "[learner]") {
  std::vector<Stubborn> learners{{4}, {5}, {6}};
  LearnerGroup<Stubborn> group{learners};
  std::vector<Rng> rngs(3, Rng{1});
  const std::array members{2, 0};
  const std::array observations{0.0f, 0.0f};
  std::array<float, 2> actions;

  group.act({members, observations, {}}, actions, rngs);

  CHECK(group.member_count() == 3);
  CHECK(actions == std::array{6.0f, 4.0f});
}

TEST_CASE("What a member learns reaches that member", "[learner]") {
  std::vector<Stubborn> learners{{4}, {5}};
  LearnerGroup<Stubborn> group{learners};

  group.learn(1, {});

  CHECK(learners[0].learned == 0);
  CHECK(learners[1].learned == 1);
}

TEST_CASE("Masks reach those who heed them", "[learner]") {
  std::vector<Masked> learners(2);
  LearnerGroup<Masked> group{learners};
  std::vector<Rng> rngs(2, Rng{1});
  const std::array members{0, 1};
  const std::array observations{0.0f, 0.0f};
  const std::array<std::uint8_t, 6> masks{1, 1, 1, 1, 1, 1};
  std::array<float, 2> actions;

  group.act({members, observations, masks}, actions, rngs);

  CHECK(actions == std::array{3.0f, 3.0f});
}

TEST_CASE("An episode ends by termination or by truncation", "[learner]") {
  CHECK_FALSE(Transition{}.ends_episode());
  CHECK(Transition{.terminated = true}.ends_episode());
  CHECK(Transition{.truncated = true}.ends_episode());
}
