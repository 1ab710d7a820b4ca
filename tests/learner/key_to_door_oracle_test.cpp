// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/key_to_door_oracle.hpp>

#include <array>
#include <cstdlib>

#include <icrl/learner/run.hpp>

#include "support/catch.hpp"

using namespace icrl;

namespace {

double oracle_run(const KeyToDoorRooms& rooms, int task) {
  const KeyToDoor room = rooms.make(task);
  KeyToDoorOracle oracle{rooms.options().side, room.task()};
  const LearningHistory history = run(oracle, room, 2, Rng{1});
  return history.episode(1).total_reward();  // the second one: what it did in the first must not trouble it
}

}  // namespace

TEST_CASE("Key-to-Door's oracle earns what the rooms say an oracle earns", "[learner]") {
  for (const auto start : {DarkRoomStart::center, DarkRoomStart::corner}) {
    for (const int horizon : {1, 2, 3, 5, 20}) {
      for (const bool terminate : {false, true}) {
        const KeyToDoorRooms rooms{{3, horizon, start, terminate}};
        for (int task = 0; task < rooms.task_count(); ++task)
          CHECK(oracle_run(rooms, task) == rooms.oracle_return(task));
      }
    }
  }
}

TEST_CASE("Permuted actions cost Key-to-Door's oracle nothing", "[learner]") {
  const KeyToDoorRooms rooms{{.side = 4, .horizon = 6, .start = DarkRoomStart::center, .permuted_actions = true}};
  for (int task = 0; task < rooms.task_count(); task += 7)
    REQUIRE(oracle_run(rooms, task) == rooms.oracle_return(task));
}

TEST_CASE("The oracle takes a shortest way from wherever an episode begins", "[learner]") {
  const KeyToDoorRooms rooms;
  const auto distance = [](Cell a, Cell b) { return std::abs(a.row - b.row) + std::abs(a.column - b.column); };
  for (int task = 0; task < rooms.task_count(); task += 101) {
    const KeyToDoorTask where = rooms.make(task).task();
    KeyToDoorOracle oracle{9, where};
    const LearningHistory history = run(oracle, rooms.make(task), 20, Rng{static_cast<std::uint64_t>(task)});
    for (int e = 0; e < 20; ++e) {
      const EpisodeView episode = history.episode(e);
      std::array<float, 2> start{};
      episode.observation(0, start);
      const Cell from{static_cast<int>(start[0]), static_cast<int>(start[1])};
      const int to_key = std::max(1, distance(from, where.key)), to_door = to_key + distance(where.key, where.door);
      CHECK(episode.reward(to_key - 1) == 1);
      CHECK(episode.reward(to_door - 1) == 1);
    }
  }
}

TEST_CASE("Key-to-Door's oracle refuses rooms of another size and other actions", "[learner]") {
  const KeyToDoorOracle oracle{9, {{0, 1}, {2, 3}}};
  CHECK_NOTHROW(oracle.check_spaces(MultiDiscrete{{9, 9}}, Discrete{5}));
  CHECK_THROWS_AS(oracle.check_spaces(MultiDiscrete{{8, 8}}, Discrete{5}), Error);
  CHECK_THROWS_AS(oracle.check_spaces(MultiDiscrete{{9, 9}}, Discrete{4}), Error);
}
