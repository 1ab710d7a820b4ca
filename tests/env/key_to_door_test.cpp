// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/key_to_door.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <tuple>
#include <vector>

#include <icrl/env/check_environment.hpp>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;

namespace {

using A = DarkRoom;  // its actions: stay, up, right, down, left

/// An episode that begins at `start`; of a family whose starts are random, one of those that do.
KeyToDoor begun(const KeyToDoorRooms& rooms, int task, Cell start) {
  KeyToDoor room = rooms.make(task);
  Rng rng{static_cast<std::uint64_t>(task)};
  do {
    room.reset(rng);
  } while (room.position() != start);
  return room;
}

/// Best and mean return over all sequences of actions that can follow.
struct AllPlays {
  double best = 0, mean = 0;
};
AllPlays all_plays(const KeyToDoor& room) {
  AllPlays plays;
  for (int action = 0; action < 5; ++action) {
    KeyToDoor next = room;
    Rng rng{0};
    const StepResult result = next.step(action, rng);
    AllPlays later;
    if (!result.terminated && !result.truncated) later = all_plays(next);
    plays.best = std::max(plays.best, static_cast<double>(result.reward) + later.best);
    plays.mean += (static_cast<double>(result.reward) + later.mean) / 5;
  }
  return plays;
}

/// Best and mean return of an episode of this task, its start included.
AllPlays all_episodes(const KeyToDoorRooms& rooms, int task) {
  const int n = rooms.options().side;
  std::vector<Cell> starts;
  for (int i = 0; i < n * n; ++i) starts.push_back({i / n, i % n});
  if (rooms.options().start == DarkRoomStart::center) starts = {{n / 2, n / 2}};
  if (rooms.options().start == DarkRoomStart::corner) starts = {{0, 0}};
  AllPlays expected;
  for (const Cell start : starts) {
    const AllPlays plays = all_plays(begun(rooms, task, start));
    expected.best += plays.best / static_cast<double>(starts.size());
    expected.mean += plays.mean / static_cast<double>(starts.size());
  }
  return expected;
}

/// The room told again, backwards in time and independently of the header: the value of the best or of random play from
/// each cell, by what was collected, mean over all cells.
double backward(int n, int horizon, int key, int door, bool best) {
  std::vector<std::array<double, 3>> value(static_cast<std::size_t>(n * n)), next = value;
  for (int t = 0; t < horizon; ++t) {
    for (int cell = 0; cell < n * n; ++cell) {
      const int row = cell / n, column = cell % n;
      const std::array to{cell, row > 0 ? cell - n : cell, column + 1 < n ? cell + 1 : cell,
                          row + 1 < n ? cell + n : cell, column > 0 ? cell - 1 : cell};
      for (std::size_t collected = 0; collected < 3; ++collected) {
        double most = 0, sum = 0;
        for (const int there : to) {
          const bool pays = (collected == 0 && there == key) || (collected == 1 && there == door);
          const double earned =
              (pays ? 1 : 0) + value[static_cast<std::size_t>(there)][pays ? collected + 1 : collected];
          most = std::max(most, earned);
          sum += earned;
        }
        next[static_cast<std::size_t>(cell)][collected] = best ? most : sum / 5;
      }
    }
    std::swap(value, next);
  }
  double total = 0;
  for (const auto& of_cell : value) total += of_cell[0];
  return total / (n * n);
}

}  // namespace

TEST_CASE("The key pays once an episode, the door once after it", "[env]") {
  Rng rng{0};
  KeyToDoor room{{.side = 3, .horizon = 9, .start = DarkRoomStart::center}, {.key = {0, 1}, .door = {1, 2}}};
  const auto play = [&](std::initializer_list<int> actions) {
    std::vector<float> rewards;
    for (const int action : actions) rewards.push_back(room.step(action, rng).reward);
    return rewards;
  };

  room.reset(rng);
  CHECK(play({A::right, A::stay}) == std::vector<float>{0, 0});         // the door, without the key
  CHECK(play({A::left, A::up, A::up}) == std::vector<float>{0, 1, 0});  // the key, then against the wall on it
  CHECK(play({A::right, A::down, A::stay}) == std::vector<float>{0, 1, 0});
  const StepResult last = room.step(A::left, rng);
  CHECK(last.truncated);
  CHECK_FALSE(last.terminated);

  room.reset(rng);
  CHECK(room.position() == Cell{1, 1});
  CHECK(play({A::right, A::left, A::up}) == std::vector<float>{0, 0, 1});
}

TEST_CASE("Who begins on the key has to step on it", "[env]") {
  Rng rng{0};
  KeyToDoor room{{.side = 3, .start = DarkRoomStart::center}, {.key = {1, 1}, .door = {1, 2}}};

  room.reset(rng);
  CHECK(room.step(A::right, rng).reward == 0);
  room.reset(rng);
  CHECK(room.step(A::stay, rng).reward == 1);
}

TEST_CASE("With terminate_at_door the door ends the episode, but only with the key", "[env]") {
  Rng rng{0};
  const KeyToDoorTask task{.key = {1, 2}, .door = {1, 1}};
  KeyToDoor room{{.side = 3, .horizon = 3, .start = DarkRoomStart::center, .terminate_at_door = true}, task};
  room.reset(rng);

  CHECK_FALSE(room.step(A::stay, rng).terminated);
  CHECK_FALSE(room.step(A::right, rng).terminated);
  const StepResult last = room.step(A::left, rng);

  CHECK(last.reward == 1);
  CHECK(last.terminated);
  CHECK_FALSE(last.truncated);  // though it is the third of three steps
}

TEST_CASE("The agent of Key-to-Door sees its place and nothing else", "[env]") {
  Rng rng{0};
  KeyToDoor room{{.side = 4, .start = DarkRoomStart::center}, {.key = {2, 3}, .door = {0, 0}}};
  std::array<float, 2> seen{};
  room.observe(seen);
  CHECK(seen == std::array{2.0f, 2.0f});  // before the first reset, too
  room.reset(rng);
  CHECK(room.step(A::right, rng).reward == 1);
  room.observe(seen);
  CHECK(seen == std::array{2.0f, 3.0f});
  CHECK(room.observation_space() == Space{MultiDiscrete{{4, 4}}});
  CHECK(room.action_space() == Space{Discrete{5}});
}

TEST_CASE("Episodes of Key-to-Door begin anywhere, in the center or in the corner", "[env]") {
  Rng rng{1};
  std::vector<int> times(9);
  KeyToDoor anywhere{{.side = 3}, {.key = {0, 0}, .door = {1, 1}}};
  for (int i = 0; i < 9000; ++i) {
    anywhere.reset(rng);
    ++times[static_cast<std::size_t>(3 * anywhere.position().row + anywhere.position().column)];
  }
  for (const int count : times) CHECK(std::abs(count - 1000) < 150);

  KeyToDoor corner{{.start = DarkRoomStart::corner}, {.key = {0, 0}, .door = {1, 1}}};
  corner.reset(rng);
  CHECK(corner.position() == Cell{0, 0});
}

TEST_CASE("Permuted actions make the moves that the task's permutation says", "[env]") {
  const KeyToDoorOptions options{.side = 3, .start = DarkRoomStart::center, .permuted_actions = true};
  for (int number = 0; number < 120; ++number) {
    for (int action = 0; action < 5; ++action) {
      Rng rng{0};
      KeyToDoor room{options, {.key = {0, 0}, .door = {2, 2}, .permutation = number}};
      room.reset(rng);
      room.step(action, rng);
      REQUIRE(room.position() == DarkRoom::moved({1, 1}, ActionPermutation{number}.move_of(action), 3));
    }
  }
}

TEST_CASE("Oracle and random return of Key-to-Door are best and mean of all plays", "[env]") {
  for (const auto start : {DarkRoomStart::random, DarkRoomStart::center, DarkRoomStart::corner}) {
    for (const bool terminate : {false, true}) {
      for (const auto& [side, horizon] : {std::tuple{2, 1}, {2, 2}, {2, 3}, {2, 5}, {3, 2}, {3, 4}}) {
        const KeyToDoorRooms rooms{{side, horizon, start, terminate}};
        double worst = 0;
        for (int task = 0; task < rooms.task_count(); ++task) {
          const AllPlays expected = all_episodes(rooms, task);
          worst = std::max({worst, std::abs(rooms.oracle_return(task) - expected.best),
                            std::abs(rooms.random_return(task) - expected.mean)});
        }
        INFO("side " << side << ", horizon " << horizon << ", start " << static_cast<int>(start) << ", terminate "
                     << terminate);
        CHECK(worst < 1e-12);
      }
    }
  }
}

TEST_CASE("Permuted actions change neither the best nor the mean of all plays", "[env]") {
  const KeyToDoorRooms rooms{{.side = 2, .horizon = 4, .permuted_actions = true}};
  for (int task = 5; task < rooms.task_count(); task += 11) {
    const AllPlays expected = all_episodes(rooms, task);
    REQUIRE(rooms.oracle_return(task) == Approx(expected.best).epsilon(1e-12));
    REQUIRE(rooms.random_return(task) == Approx(expected.mean).epsilon(1e-12));
  }
}

TEST_CASE("Oracle and random return of Key-to-Door are what going backward gives", "[env]") {
  for (const auto& [side, horizon] : {std::pair{9, 50}, {9, 20}, {5, 7}, {2, 3}}) {
    const KeyToDoorRooms rooms{{.side = side, .horizon = horizon}};
    for (int task = 0; task < rooms.task_count(); task += std::max(1, rooms.task_count() / 16)) {
      const KeyToDoorTask where = rooms.make(task).task();
      const int key = where.key.row * side + where.key.column, door = where.door.row * side + where.door.column;
      CHECK(rooms.oracle_return(task) == Approx(backward(side, horizon, key, door, true)).epsilon(1e-12));
      CHECK(rooms.random_return(task) == Approx(backward(side, horizon, key, door, false)).epsilon(1e-12));
    }
  }
}

TEST_CASE("In fifty steps the oracle always gets key and door", "[env]") {
  const KeyToDoorRooms rooms;
  double random = 0;
  for (int task = 0; task < rooms.task_count(); ++task) {
    REQUIRE(rooms.oracle_return(task) == 2);
    if (task % 90 == 7) random += rooms.random_return(task) / 72;
  }
  CHECK(random == Approx(0.25).margin(0.03));

  // From a corner to the opposite one and back takes 32 steps, as many as there are; one fewer is too few.
  const int there_and_back = KeyToDoorNumbering{9}.number({.key = {8, 8}, .door = {0, 0}});
  CHECK(KeyToDoorRooms{{.horizon = 32, .start = DarkRoomStart::corner}}.oracle_return(there_and_back) == 2);
  CHECK(KeyToDoorRooms{{.horizon = 31, .start = DarkRoomStart::corner}}.oracle_return(there_and_back) == 1);
}

TEST_CASE("Key-to-Door keeps the promises of an environment", "[env]") {
  for (const auto start : {DarkRoomStart::random, DarkRoomStart::center, DarkRoomStart::corner}) {
    for (const bool terminate : {false, true}) {
      for (const bool permuted : {false, true}) {
        const KeyToDoorRooms rooms{{4, 60, start, terminate, permuted}};
        CHECK(check_environment(rooms.make(rooms.task_count() - 7)).text() == "no problems found");
      }
    }
  }
}

TEST_CASE("A Key-to-Door that cannot be is refused", "[env]") {
  const auto refusal = [](const KeyToDoorOptions& options, const KeyToDoorTask& task) {
    return test::error_of([&] { KeyToDoor{options, task}; });
  };
  const KeyToDoorTask task{.key = {0, 0}, .door = {1, 1}};
  CHECK(refusal({}, task).empty());
  CHECK(test::has(refusal({.side = 1}, task), "side is 1, it must lie in 2 .. 215"));
  CHECK(test::has(refusal({.side = 216}, task), "side is 216"));
  CHECK(test::has(refusal({.side = 66, .permuted_actions = true}, task), "2 .. 65 with permuted actions"));
  CHECK(test::has(refusal({.horizon = 0}, task), "horizon is 0 steps"));
  CHECK(test::has(refusal({}, {{9, 0}, {1, 1}}), "the key at (9, 0) lies outside the 9 x 9 cells"));
  CHECK(test::has(refusal({}, {{0, 0}, {1, -1}}), "the door at (1, -1) lies outside"));
  CHECK(test::has(refusal({}, {{2, 3}, {2, 3}}), "key and door both lie at (2, 3)"));
  CHECK(test::has(refusal({}, {{0, 0}, {1, 1}, 1}), "permutation is 1, it must lie in 0 .. 0 (set permuted_actions"));
  CHECK(test::has(refusal({.permuted_actions = true}, {{0, 0}, {1, 1}, 120}), "it must lie in 0 .. 119"));

  const KeyToDoorRooms rooms{{.side = 3}};
  for (const int number : {-1, 72}) {
    CHECK(test::has(test::error_of([&] { (void)rooms.make(number); }), "is not one of the family's 72 tasks"));
    CHECK(test::has(test::error_of([&] { (void)rooms.oracle_return(number); }), "is not one of"));
    CHECK(test::has(test::error_of([&] { (void)rooms.random_return(number); }), "is not one of"));
  }
  CHECK(test::has(test::error_of([] { KeyToDoorRooms{{.side = 1}}; }), "side is 1"));
}

TEST_CASE("Stepping, observing and resetting a Key-to-Door allocates nothing", "[env]") {
  KeyToDoor room = KeyToDoorRooms{{.permuted_actions = true}}.make(123456);
  std::array<float, 2> seen{};
  Rng rng{0};

  const test::AllocationCount allocations;
  for (int i = 0; i < 1000; ++i) {
    if (room.step(rng.below(5), rng).truncated) room.reset(rng);
    room.observe(seen);
  }

  CHECK(allocations.count() == 0);
}
