// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/key_to_door_task.hpp>

#include <set>
#include <vector>

#include <icrl/env/check_symmetries.hpp>
#include <icrl/env/key_to_door.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;

namespace {

/// Symmetries as they would be if images forgot that actions are permuted.
struct ForgetfulSymmetry : KeyToDoorSymmetry {
  ForgetfulSymmetry(const KeyToDoorSymmetry& symmetry, int pairs) : KeyToDoorSymmetry{symmetry}, pair_count{pairs} {}
  [[nodiscard]] int map_task(int task) const {
    return KeyToDoorSymmetry::map_task(task % pair_count) + task / pair_count * pair_count;
  }
  int pair_count;
};
struct ForgetfulRooms : KeyToDoorRooms {
  using KeyToDoorRooms::KeyToDoorRooms;
  [[nodiscard]] std::vector<ForgetfulSymmetry> symmetries() const {
    std::vector<ForgetfulSymmetry> forgetful;
    for (const auto& symmetry : KeyToDoorRooms::symmetries())
      forgetful.emplace_back(symmetry, KeyToDoorNumbering{options().side}.pair_count());
    return forgetful;
  }
};

constexpr SymmetryCheckConfig thorough{.tasks = 60, .episodes = 2, .max_resets = 5000};

}  // namespace

TEST_CASE("Every number of Key-to-Door is one task, in the order that is promised", "[env]") {
  for (const int side : {2, 3, 4}) {
    const KeyToDoorNumbering numbering{side};
    const int cells = side * side;
    int number = 0;
    for (int permutation = 0; permutation < 120; ++permutation) {
      for (int key = 0; key < cells; ++key) {
        for (int door = 0; door < cells; ++door) {
          if (key == door) continue;
          const KeyToDoorTask task{{key / side, key % side}, {door / side, door % side}, permutation};
          REQUIRE(numbering.task(number) == task);
          REQUIRE(numbering.number(task) == number);
          ++number;
        }
      }
    }
    CHECK(KeyToDoorRooms{{.side = side, .permuted_actions = true}}.task_count() == number);
    CHECK(KeyToDoorRooms{{.side = side}}.task_count() == number / 120);
  }
  CHECK(KeyToDoorRooms{}.task_count() == 6480);
  CHECK(KeyToDoorRooms{}.make(0).task() == KeyToDoorTask{{0, 0}, {0, 1}});
  CHECK(KeyToDoorRooms{}.make(6479).task() == KeyToDoorTask{{8, 8}, {8, 7}});
}

TEST_CASE("The largest Key-to-Doors still number their tasks", "[env]") {
  const KeyToDoorRooms plain{{.side = 215}}, permuted{{.side = 65, .permuted_actions = true}};
  for (const KeyToDoorRooms& rooms : {plain, permuted}) {
    const int last = rooms.task_count() - 1, side = rooms.options().side;
    CHECK(last > 2'000'000'000);
    CHECK(rooms.make(last).task().key == Cell{side - 1, side - 1});
    CHECK(KeyToDoorNumbering{side}.number(rooms.make(last).task()) == last);
  }
}

TEST_CASE("The symmetries of Key-to-Door are what they say", "[env]") {
  for (const auto start : {DarkRoomStart::random, DarkRoomStart::center, DarkRoomStart::corner}) {
    for (const int side : {2, 3, 9}) {
      for (const bool permuted : {false, true}) {
        const KeyToDoorRooms rooms{{side, 50, start, permuted, permuted}};
        const bool is_free = start == DarkRoomStart::random || (start == DarkRoomStart::center && side % 2 == 1);
        INFO("start " << static_cast<int>(start) << ", side " << side << ", permuted " << permuted);

        CHECK(rooms.symmetries().size() == (is_free ? 8 : 2));
        CHECK(test::error_of([&] { check_symmetries(rooms, thorough); }).empty());
      }
    }
  }
}

TEST_CASE("Each symmetry of Key-to-Door permutes the tasks", "[env]") {
  const KeyToDoorRooms rooms{{.side = 2, .permuted_actions = true}};
  for (const KeyToDoorSymmetry& symmetry : rooms.symmetries()) {
    std::set<int> images;
    for (int task = 0; task < rooms.task_count(); ++task) images.insert(symmetry.map_task(task));
    CHECK(static_cast<int>(images.size()) == rooms.task_count());
    CHECK(*images.begin() == 0);
    CHECK(*images.rbegin() == rooms.task_count() - 1);
  }
}

TEST_CASE("The exchange of rows and columns exchanges what actions do", "[env]") {
  const KeyToDoorNumbering numbering{9};
  const KeyToDoorSymmetry exchange = KeyToDoorRooms{{.permuted_actions = true}}.symmetries().at(1);
  // The exchange turns up into left and right into down, and back. Here actions 0 and 1 are swapped: 0 moves up, 1
  // stays.
  const int swapped = ActionPermutation{ActionPermutation::Moves{1, 0, 2, 3, 4}}.number();
  // So its image has 0 and 4, the image of 1, swapped: 0 moves left, 4 stays.
  const int image = ActionPermutation{ActionPermutation::Moves{4, 1, 2, 3, 0}}.number();

  CHECK(exchange.map_task(numbering.number({{1, 2}, {0, 5}, swapped})) == numbering.number({{2, 1}, {5, 0}, image}));
  CHECK(exchange.map_task(numbering.number({{1, 2}, {0, 5}})) == numbering.number({{2, 1}, {5, 0}}));
}

TEST_CASE("Symmetries that forget the permutation of the actions are refused", "[env]") {
  CHECK(test::error_of([] { check_symmetries(ForgetfulRooms{{.side = 3}}, thorough); }).empty());
  CHECK_FALSE(test::error_of([] {
                check_symmetries(ForgetfulRooms{{.side = 3, .permuted_actions = true}}, thorough);
              }).empty());
}
