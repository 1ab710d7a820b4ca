// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/permuted_dark_room.hpp>

#include <array>
#include <set>
#include <utility>

#include <icrl/env/check_environment.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// The cell after one action from the center of a room.
std::pair<int, int> cell_after(PermutedDarkRoom room, int action) {
  Rng rng{1};
  room.reset(rng);
  (void)room.step(action, rng);
  std::array<float, 2> cell{};
  room.observe(cell);
  return {static_cast<int>(cell[0]), static_cast<int>(cell[1])};
}

}  // namespace

TEST_CASE("Every permutation moves as it says, and no two alike", "[env]") {
  const PermutedDarkRooms rooms;
  REQUIRE(rooms.task_count() == 81 * 120);
  std::set<std::array<std::pair<int, int>, 5>> behaviors;
  for (int number = 0; number < 120; ++number) {
    const PermutedDarkRoom room = rooms.make(80 * 120 + number);
    REQUIRE(room.room().goal() == Cell{8, 8});
    REQUIRE(room.permutation().number() == number);
    std::array<std::pair<int, int>, 5> behavior;
    for (int action = 0; action < 5; ++action) {
      const auto cell = cell_after(room, action);
      const Cell move = DarkRoom::move_of(room.permutation().move_of(action));
      REQUIRE(cell == std::pair{4 + move.row, 4 + move.column});
      behavior[static_cast<std::size_t>(action)] = cell;
    }
    behaviors.insert(behavior);
  }
  REQUIRE(behaviors.size() == 120);
}

TEST_CASE("Permuted Dark Rooms keep the rules and the returns of Dark Rooms", "[env]") {
  const DarkRoomOptions options{.side = 5, .horizon = 8, .terminate_at_goal = true};
  const PermutedDarkRooms rooms{options};
  const DarkRooms plain{options};
  for (const int task : {0, 119, 120, 24 * 120 + 7}) {
    CHECK(check_environment(rooms.make(task)).ok());
    CHECK(rooms.oracle_return(task) == plain.oracle_return(task / 120));
    CHECK(rooms.random_return(task) == plain.random_return(task / 120));
  }
}

TEST_CASE("With one goal only the permutations differ", "[env]") {
  const PermutedDarkRooms rooms{{.horizon = 50, .start = DarkRoomStart::corner}, 80};
  REQUIRE(rooms.task_count() == 120);
  for (const int task : {0, 119}) CHECK(rooms.make(task).room().goal() == Cell{8, 8});
  CHECK(rooms.oracle_return(5) == 35);
}

TEST_CASE("Permuted Dark Rooms refuse goals outside and rooms too large", "[env]") {
  CHECK(error_of([] { (void)PermutedDarkRooms({}, 81); }) ==
        "permuted dark room: goal is cell 81, it must lie in 0 .. 80");
  CHECK(has(error_of([] { (void)PermutedDarkRooms({}, -2); }), "goal is cell -2"));
  CHECK(has(error_of([] { (void)PermutedDarkRooms({.side = 5000}); }), "too many tasks"));
}
