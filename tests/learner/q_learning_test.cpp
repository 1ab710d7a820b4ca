// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/q_learning.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <icrl/env/dark_room.hpp>
#include <icrl/history/curate.hpp>
#include <icrl/learner/run.hpp>

#include "support/catch.hpp"
#include "support/histories.hpp"
#include "support/tiny_environments.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

constexpr std::array here{0.0f}, there{1.0f};
constexpr std::array first_action{0.0f}, second_action{1.0f};

QLearning small(const QLearningConfig& config = {.learning_rate = 0.5, .discount = 0.5}) {
  return {config, Discrete{2}, Discrete{2}};
}

}  // namespace

TEST_CASE("One update of Q-learning is the one of the textbook", "[learner]") {
  QLearning learner = small();

  learner.learn({there, second_action, 8, here, false, false});
  CHECK(learner.values(there)[1] == 4);  // 0 + 0.5 * (8 + 0.5 * 0 - 0)
  learner.learn({here, first_action, 1, there, false, false});

  CHECK(learner.values(here)[0] == 1.5f);  // 0 + 0.5 * (1 + 0.5 * 4 - 0)
}

TEST_CASE("Q-learning looks beyond a truncation and not beyond a termination", "[learner]") {
  QLearning truncated = small(), terminated = small();
  for (QLearning* learner : {&truncated, &terminated}) learner->learn({there, second_action, 8, here, false, false});

  truncated.learn({here, first_action, 1, there, false, true});
  terminated.learn({here, first_action, 1, there, true, false});

  CHECK(truncated.values(here)[0] == 1.5f);
  CHECK(terminated.values(here)[0] == 0.5f);
}

TEST_CASE("Q-learning hopes for nothing from actions that the next observation forbids", "[learner]") {
  QLearning learner{{.learning_rate = 1, .discount = 0.5, .initial_value = 1}, Discrete{3}, Discrete{2}};
  const std::array<float, 1> start{0}, middle{1}, goal{2}, left{0}, right{1};
  const std::array<std::uint8_t, 2> only_left{1, 0}, none{0, 0};
  learner.learn({.observation = middle, .action = left, .reward = 0, .next_observation = goal, .terminated = true});

  learner.learn({.observation = start, .action = right, .next_observation = middle, .next_allowed = only_left});
  CHECK(learner.values(start)[1] == 0);
  learner.learn({.observation = start, .action = right, .next_observation = middle});
  CHECK(learner.values(start)[1] == 0.5f);
  CHECK_THROWS_AS(
      learner.learn({.observation = start, .action = right, .next_observation = middle, .next_allowed = none}), Error);
}

TEST_CASE("A greedy Q-learner takes the best action and breaks ties at random", "[learner]") {
  QLearning learner = small({.learning_rate = 0.5, .discount = 0.5, .epsilon_start = 0});
  Rng rng{1};
  std::array<float, 1> action;
  learner.learn({there, second_action, 8, here, false, false});
  int ones = 0;
  for (int i = 0; i < 10000; ++i) {
    learner.act(there, action, rng);
    REQUIRE(action[0] == 1);
    learner.act(here, action, rng);
    ones += action[0] == 1;
  }

  CHECK(std::abs(ones - 5000) < 300);
}

TEST_CASE("A Q-learner takes only allowed actions, greedy or not", "[learner]") {
  Rng rng{1};
  const std::array<std::uint8_t, 2> only_first{1, 0};
  for (const double epsilon : {0.0, 1.0}) {
    QLearning learner = small({.epsilon_start = epsilon});
    learner.learn({there, second_action, 8, here, false, false});
    for (int i = 0; i < 100; ++i) {
      std::array<float, 1> action;
      learner.act(there, only_first, action, rng);
      REQUIRE(action[0] == 0);
    }
  }
  QLearning learner = small({.epsilon_start = 0});
  std::array<float, 1> action;
  CHECK_THROWS_AS(learner.act(there, std::array<std::uint8_t, 2>{}, action, rng), Error);
}

TEST_CASE("A Q-learner's noise falls from episode to episode", "[learner]") {
  QLearning learner = small({.episodes = 10});
  CHECK(learner.epsilon() == 1);

  learner.learn({here, first_action, 0, there, false, false});
  CHECK(learner.epsilon() == 1);
  learner.learn({here, first_action, 0, there, false, true});
  CHECK(learner.epsilon() == Approx(1 - 1 / 9.0));
  for (int e = 0; e < 20; ++e) learner.learn({here, first_action, 0, there, true, false});

  CHECK(learner.epsilon() == 0);
}

TEST_CASE("Q-learning learns to walk down a slippery corridor", "[learner]") {
  QLearning learner{{.learning_rate = 0.2, .episodes = 200}, Discrete{6}, Discrete{2}};

  const LearningHistory history = run(learner, Corridor{.cells = 6, .horizon = 30, .slip = 0.2}, 200, Rng{4});

  CHECK(mean_return(history.view(), 180, 20) == 1);
  for (const float cell : {0.0f, 1.0f, 2.0f, 3.0f, 4.0f})
    CHECK(learner.values(std::array{cell})[1] > learner.values(std::array{cell})[0]);
}

TEST_CASE("Q-learning's returns in a dark room rise to nearly the oracle's", "[learner][slow]") {
  // Mean return per tenth of 200 episodes, as measured with 40 histories a goal; the oracle's is 16.5.
  constexpr std::array expected{0.3, 0.8, 1.8, 3.3, 5.4, 8.1, 10.8, 13.2, 15.4, 16.4};
  const DarkRooms rooms;
  std::array<double, 10> tenths{};
  for (int task = 0; task < rooms.task_count(); ++task) {
    const DarkRoom room = rooms.make(task);
    for (std::uint64_t run_number = 0; run_number < 5; ++run_number) {
      QLearning learner{{}, room.observation_space(), room.action_space()};
      const LearningHistory history = run(learner, room, 200, Rng{static_cast<std::uint64_t>(task), run_number});
      for (std::size_t i = 0; i < 10; ++i)
        tenths[i] += mean_return(history.view(), 20 * static_cast<int>(i), 20) / (81 * 5);
    }
  }

  for (std::size_t i = 0; i < 10; ++i) CHECK(tenths[i] == Approx(expected[i]).margin(0.45));
}

TEST_CASE("Q-learning refuses what it has no table for", "[learner]") {
  const auto refusal = [](const QLearningConfig& config, const Space& observations, const Space& actions) {
    return error_of([&] { QLearning(config, observations, actions); });
  };

  CHECK(has(refusal({}, Box{{0}, {1}}, Discrete{2}), "a table needs a discrete"));
  CHECK(has(refusal({}, Discrete{2}, MultiDiscrete{{2}}), "actions must be Discrete, not multi_discrete(2)"));
  CHECK(has(
      refusal({}, MultiDiscrete{{16384, 16384}}, Discrete{65535}),
      "a table of 268435456 observations x 65535 actions takes 7.04e+04 GB, more than the 17.2 GB a table may take"));
  CHECK(has(refusal({}, Discrete{2}, Discrete{0}), "discrete(0)"));
  CHECK(has(refusal({.learning_rate = 0}, Discrete{2}, Discrete{2}), "learning_rate is 0"));
  CHECK(has(refusal({.discount = 1.1}, Discrete{2}, Discrete{2}), "discount is 1.1"));
  CHECK(has(refusal({.epsilon_start = 2}, Discrete{2}, Discrete{2}), "start is 2"));
  CHECK(has(refusal({.initial_value = 1e39}, Discrete{2}, Discrete{2}),
            "initial_value is 1e+39, it must be a finite float"));
}

TEST_CASE("A Q-learner refuses an environment of other spaces than its table's", "[learner]") {
  const auto refusal = [](const Space& observations, const Space& actions, const DarkRoom& room) {
    QLearning learner{{}, observations, actions};
    return error_of([&] { (void)run(learner, room, 1, Rng{1}); });
  };
  const DarkRoom room{{}, {0, 0}}, larger{{.side = 40}, {0, 0}};

  CHECK(refusal(room.observation_space(), room.action_space(), room).empty());
  CHECK(refusal(MultiDiscrete{{5, 5}}, Discrete{5}, larger) ==
        "Q-learning: its observation space and the environment's differ: multi_discrete(5, 5) and multi_discrete(40, "
        "40): component 0 has 5 and 40 ids");
  CHECK(refusal(room.observation_space(), Discrete{4}, room) ==
        "Q-learning: its action space and the environment's differ: discrete(4) and discrete(5)");
}

TEST_CASE("A Q-learner without a mask acts as one whose mask is empty", "[learner]") {
  for (const double epsilon : {0.0, 1.0}) {
    QLearning learner = small({.epsilon_start = epsilon});
    Rng one{1}, other{1};
    for (int i = 0; i < 20; ++i) {
      std::array<float, 1> action{}, same{};
      learner.act(there, action, one);
      learner.act(there, std::span<const std::uint8_t>{}, same, other);
      REQUIRE(action == same);
    }
  }
}
