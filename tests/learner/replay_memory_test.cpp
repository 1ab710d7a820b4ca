// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/replay_memory.hpp>

#include <array>
#include <set>

#include "support/catch.hpp"

using namespace icrl;

namespace {

/// Adds steps t = 0, 1, ... with observation t, action t % 3 and reward t + 1.
class Replayed {
public:
  explicit Replayed(const ReplayConfig& config) : memory{config, 1} {}

  void add(bool terminated = false, bool truncated = false) {
    const std::array<float, 1> from{static_cast<float>(t_)}, to{static_cast<float>(t_ + 1)},
        action{static_cast<float>(t_ % 3)};
    memory.add({.observation = from,
                .action = action,
                .reward = static_cast<float>(t_ + 1),
                .next_observation = to,
                .terminated = terminated,
                .truncated = truncated});
    ++t_;
  }

  ReplayMemory memory;

private:
  int t_ = 0;
};

}  // namespace

TEST_CASE("A replayed step sums n rewards and goes on from the observation after them", "[learner]") {
  Replayed replayed{{.capacity = 10, .steps = 3, .discount = 0.5}};
  replayed.add();
  replayed.add();
  CHECK(replayed.memory.size() == 0);
  replayed.add();
  REQUIRE(replayed.memory.size() == 1);

  const ReplayStep step = replayed.memory.step(0);
  CHECK(step.observation[0] == 0);
  CHECK(step.action == 0);
  CHECK(step.reward == 1 + 0.5 * 2 + 0.25 * 3);
  CHECK(step.next_observation[0] == 3);
  CHECK(step.next_discount == 0.125);
}

TEST_CASE("The last steps of an episode have what is left of it", "[learner]") {
  for (const bool terminated : {true, false}) {
    Replayed replayed{{.capacity = 10, .steps = 3, .discount = 0.5}};
    for (int t = 0; t < 3; ++t) replayed.add();
    replayed.add(terminated, !terminated);
    REQUIRE(replayed.memory.size() == 4);

    const ReplayStep last = replayed.memory.step(3), before = replayed.memory.step(2);
    CHECK(last.observation[0] == 3);
    CHECK(last.reward == 4);
    CHECK(last.next_discount == (terminated ? 0 : 0.5));
    CHECK(before.reward == 3 + 0.5 * 4);
    CHECK(before.next_observation[0] == 4);
    CHECK(before.next_discount == (terminated ? 0 : 0.25));
    // The next episode begins with nothing pending.
    replayed.add();
    CHECK(replayed.memory.size() == 4);
  }
}

TEST_CASE("A full memory forgets the oldest steps", "[learner]") {
  Replayed replayed{{.capacity = 4, .steps = 1}};
  for (int t = 0; t < 11; ++t) replayed.add();
  REQUIRE(replayed.memory.size() == 4);
  std::set<float> seen;
  for (int i = 0; i < 4; ++i) seen.insert(replayed.memory.step(i).observation[0]);
  CHECK(seen == std::set<float>{7, 8, 9, 10});
}

TEST_CASE("A replay memory refuses values out of their range", "[learner]") {
  CHECK_THROWS_AS(ReplayMemory({.capacity = 0}, 1), Error);
  CHECK_THROWS_AS(ReplayMemory({.steps = 0}, 1), Error);
  CHECK_THROWS_AS(ReplayMemory({.discount = 1.5}, 1), Error);
}
