// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

#include <icrl/core/assert.hpp>
#include <icrl/env/action_permutation.hpp>
#include <icrl/env/dark_room.hpp>
#include <icrl/env/symmetry.hpp>

namespace icrl {

/// The parts of Key-to-Door that differ between tasks. Key and door are in different cells.
struct KeyToDoorTask {
  Cell key, door;       ///< their cells
  int permutation = 0;  ///< number of the ActionPermutation; 0 if actions are not permuted

  friend bool operator==(const KeyToDoorTask&, const KeyToDoorTask&) = default;
};

/// Numbers the tasks. With n = side * side cells, numbered row * side + column:
///
///   task = permutation * n (n - 1) + key * (n - 1) + (door < key ? door : door - 1)
///
/// Tasks without permuted actions are therefore 0 .. n (n - 1) - 1, and every number is exactly one task.
class KeyToDoorNumbering {
public:
  /// For rooms of `side` x `side` cells; at least 2.
  explicit KeyToDoorNumbering(int side) : side_{side} {}

  /// Number of pairs of a key cell and a door cell.
  [[nodiscard]] int pair_count() const { return cell_count() * (cell_count() - 1); }

  /// The task with this number, at least 0. Beyond the last task, the permutation is one that does not exist.
  [[nodiscard]] KeyToDoorTask task(int number) const {
    ICRL_ASSERT(number >= 0 && side_ >= 2,
                "key to door: task numbers are not negative, and a room has two rows or more");
    const int pair = number % pair_count(), doors = cell_count() - 1;
    const int key = pair / doors, door = pair % doors;
    return {cell(key), cell(door < key ? door : door + 1), number / pair_count()};
  }
  /// The number of a task, whose cells must be different and inside the room.
  [[nodiscard]] int number(const KeyToDoorTask& task) const {
    const int key = index(task.key), door = index(task.door);
    return task.permutation * pair_count() + key * (cell_count() - 1) + (door < key ? door : door - 1);
  }

private:
  [[nodiscard]] int cell_count() const { return side_ * side_; }
  [[nodiscard]] Cell cell(int index) const { return {index / side_, index % side_}; }
  [[nodiscard]] int index(Cell cell) const { return cell.row * side_ + cell.column; }

  int side_;
};

/// One of the eight symmetries of the square (see DarkRoomSymmetry). It maps cells and actions as in a Dark Room. If
/// action a makes move m, then in the image of the task the image of a makes the image of m: the permutation is
/// conjugated.
class KeyToDoorSymmetry {
public:
  /// `number` lies in 0 .. 7; 0 is the identity.
  KeyToDoorSymmetry(int side, int number) : square_{side, number}, numbering_{side} {}
  static constexpr int count = DarkRoomSymmetry::count;  ///< symmetries of a square

  void map_observation(std::span<const float> from, std::span<float> to) const { square_.map_observation(from, to); }
  void map_action(std::span<const float> from, std::span<float> to) const { square_.map_action(from, to); }
  [[nodiscard]] int map_task(int number) const {
    const KeyToDoorTask task = numbering_.task(number);
    const ActionPermutation from{task.permutation};
    ActionPermutation::Moves to{};
    for (int action = 0; action < ActionPermutation::action_count; ++action) {
      to[static_cast<std::size_t>(square_.map_action(action))] = square_.map_action(from.move_of(action));
    }
    return numbering_.number({square_.map_cell(task.key), square_.map_cell(task.door), ActionPermutation{to}.number()});
  }
  [[nodiscard]] Cell map_cell(Cell cell) const { return square_.map_cell(cell); }

private:
  DarkRoomSymmetry square_;
  KeyToDoorNumbering numbering_;
};
static_assert(Symmetry<KeyToDoorSymmetry>);

}  // namespace icrl
