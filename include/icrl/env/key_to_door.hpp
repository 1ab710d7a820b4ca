// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <span>
#include <utility>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/action_permutation.hpp>
#include <icrl/env/dark_room.hpp>
#include <icrl/env/environment.hpp>
#include <icrl/env/key_to_door_task.hpp>
#include <icrl/env/symmetry.hpp>
#include <icrl/env/task_family.hpp>

namespace icrl {

/// What a family of Key-to-Door rooms is made with.
struct KeyToDoorOptions {
  int side = 9;                                 ///< cells along each wall
  int horizon = 50;                             ///< steps in an episode
  DarkRoomStart start = DarkRoomStart::random;  ///< where an episode begins
  bool terminate_at_door = false;               ///< stepping on the door with the key ends the episode
  bool permuted_actions = false;                ///< each task has a hidden permutation of the moves that actions make
};

/// Throws Error for a value outside its range.
inline void validate(const KeyToDoorOptions& options) {
  const int longest_side = options.permuted_actions ? 65 : 215;  // task numbers must fit into an int
  if (options.side < 2 || options.side > longest_side) {
    fail("key to door: side is {}, it must lie in 2 .. {}{}", options.side, longest_side,
         options.permuted_actions ? " with permuted actions" : "");
  }
  if (options.horizon < 1) fail("key to door: horizon is {} steps, it must be at least 1", options.horizon);
}

/// A square room with a hidden key and a hidden door (Laskin et al., 2022). In each episode, the first step that ends
/// on the key pays 1. After that, the first step that ends on the door pays 1. Nothing else pays; without the key, the
/// door is a cell like any other. The agent sees only its position, as in DarkRoom. Whether it has the key must be
/// inferred from past rewards. Walls stop a move. The episode is truncated at the horizon.
class KeyToDoor {
public:
  static constexpr int action_count = DarkRoom::action_count;  ///< the ids are those of DarkRoom::Action

  /// Throws Error for an option outside its range or a task that does not fit into the room.
  KeyToDoor(const KeyToDoorOptions& options, const KeyToDoorTask& task) : options_{options}, task_{task} {
    validate(options);
    check_inside("key", task.key);
    check_inside("door", task.door);
    if (task.key == task.door)
      fail("key to door: key and door both lie at ({}, {}), they must differ", task.key.row, task.key.column);
    const int permutations = options.permuted_actions ? ActionPermutation::count : 1;
    if (task.permutation < 0 || task.permutation >= permutations) {
      fail("key to door: permutation is {}, it must lie in 0 .. {}{}", task.permutation, permutations - 1,
           options.permuted_actions ? "" : " (set permuted_actions to permute them)");
    }
    permutation_ = ActionPermutation{task.permutation};
    if (options.start == DarkRoomStart::center) position_ = {options.side / 2, options.side / 2};
  }

  /// Row and column, each in 0 .. side - 1.
  [[nodiscard]] Space observation_space() const { return MultiDiscrete{{options_.side, options_.side}}; }
  [[nodiscard]] Space action_space() const { return Discrete{action_count}; }

  void reset(Rng& rng) {
    if (options_.start == DarkRoomStart::random) {
      const int row = rng.below(options_.side);
      position_ = {row, rng.below(options_.side)};
    } else {
      const int place = options_.start == DarkRoomStart::center ? options_.side / 2 : 0;
      position_ = {place, place};
    }
    time_ = collected_ = 0;
  }

  StepResult step(int action, Rng&) {
    ICRL_ASSERT(action >= 0 && action < action_count, "key to door: action must lie in 0 .. 4");
    ICRL_ASSERT(time_ < options_.horizon, "key to door: the episode is over, call reset()");
    position_ = DarkRoom::moved(position_, permutation_.move_of(action), options_.side);
    const bool pays = collected_ < 2 && position_ == (collected_ == 0 ? task_.key : task_.door);
    if (pays) ++collected_;
    const bool terminated = collected_ == 2 && options_.terminate_at_door;
    return {pays ? 1.0f : 0.0f, terminated, ++time_ == options_.horizon && !terminated};
  }

  void observe(std::span<float> out) const {
    out[0] = static_cast<float>(position_.row);
    out[1] = static_cast<float>(position_.column);
  }

  /// Where the agent is.
  [[nodiscard]] Cell position() const { return position_; }
  /// Key, door and permutation; the agent does not see them.
  [[nodiscard]] const KeyToDoorTask& task() const { return task_; }
  [[nodiscard]] const KeyToDoorOptions& options() const { return options_; }

private:
  void check_inside(const char* what, Cell cell) const {
    if (cell.row >= 0 && cell.row < options_.side && cell.column >= 0 && cell.column < options_.side) return;
    fail("key to door: the {} at ({}, {}) lies outside the {} x {} cells", what, cell.row, cell.column, options_.side,
         options_.side);
  }

  KeyToDoorOptions options_;
  KeyToDoorTask task_;
  ActionPermutation permutation_;
  Cell position_{};
  int time_ = 0;
  int collected_ = 0;  // 0: nothing, 1: the key, 2: the key and the door
};
static_assert(Environment<KeyToDoor>);

/// Key-to-Door for every pair of different cells and, with permuted actions, every permutation of the actions.
/// KeyToDoorNumbering numbers the tasks.
class KeyToDoorRooms {
public:
  /// Throws Error for an option outside its range.
  explicit KeyToDoorRooms(const KeyToDoorOptions& options = {}) : options_{options}, numbering_{options.side} {
    validate(options);
  }

  [[nodiscard]] int task_count() const {
    return numbering_.pair_count() * (options_.permuted_actions ? ActionPermutation::count : 1);
  }
  /// Throws Error for an invalid task number, as do the returns below.
  [[nodiscard]] KeyToDoor make(int task) const { return {options_, task_of(task)}; }
  [[nodiscard]] const KeyToDoorOptions& options() const { return options_; }

  /// The symmetries that leave the start in place: all eight if episodes begin at a random cell or in the center of a
  /// room with an odd side, otherwise the identity and the exchange of rows and columns.
  [[nodiscard]] std::vector<KeyToDoorSymmetry> symmetries() const {
    std::vector<KeyToDoorSymmetry> kept;
    const Cell start = start_cells()[0];
    for (int number = 0; number < KeyToDoorSymmetry::count; ++number) {
      const KeyToDoorSymmetry symmetry{options_.side, number};
      if (options_.start == DarkRoomStart::random || symmetry.map_cell(start) == start) kept.push_back(symmetry);
    }
    return kept;
  }

  /// The exact best expected return, as a mean over the start cells: a shortest path to the key and from there to the
  /// door, as far as the horizon allows. If an episode begins on the key, it takes one step to collect it.
  [[nodiscard]] double oracle_return(int number) const {
    const KeyToDoorTask task = task_of(number);
    const auto distance = [](Cell a, Cell b) { return std::abs(a.row - b.row) + std::abs(a.column - b.column); };
    const std::vector<Cell> starts = start_cells();
    int total = 0;
    for (const Cell start : starts) {
      const int to_key = std::max(1, distance(start, task.key)), to_door = to_key + distance(task.key, task.door);
      total += (to_key <= options_.horizon ? 1 : 0) + (to_door <= options_.horizon ? 1 : 0);
    }
    return static_cast<double>(total) / static_cast<double>(starts.size());
  }

  /// The exact expected return of uniformly random actions, from the probability of each cell, with and without the
  /// key, after each step. A permutation of the actions does not change it.
  [[nodiscard]] double random_return(int number) const {
    const KeyToDoorTask task = task_of(number);
    const std::vector<Cell> starts = start_cells();
    std::vector<double> without_key(cell_count());
    for (const Cell start : starts) without_key[index(start)] = 1.0 / static_cast<double>(starts.size());
    std::vector<double> with_key(cell_count());
    double total = 0;
    for (int t = 0; t < options_.horizon; ++t) {
      without_key = after_random_step(without_key);
      with_key = after_random_step(with_key);
      const double found_key = std::exchange(without_key[index(task.key)], 0.0);
      const double found_door = std::exchange(with_key[index(task.door)], 0.0);  // it earns nothing more
      with_key[index(task.key)] += found_key;
      total += found_key + found_door;
    }
    return total;
  }

private:
  [[nodiscard]] std::size_t side() const { return static_cast<std::size_t>(options_.side); }
  [[nodiscard]] std::size_t cell_count() const { return side() * side(); }
  [[nodiscard]] std::size_t index(Cell cell) const {
    return static_cast<std::size_t>(cell.row) * side() + static_cast<std::size_t>(cell.column);
  }
  [[nodiscard]] KeyToDoorTask task_of(int number) const {
    check_tasks(*this, std::array{number}, "key to door");
    return numbering_.task(number);
  }
  /// The cells in which an episode begins, with equal probability.
  [[nodiscard]] std::vector<Cell> start_cells() const {
    const int middle = options_.side / 2;
    if (options_.start == DarkRoomStart::center) return {Cell{middle, middle}};
    if (options_.start == DarkRoomStart::corner) return {Cell{0, 0}};
    std::vector<Cell> cells;
    for (int row = 0; row < options_.side; ++row)
      for (int column = 0; column < options_.side; ++column) cells.push_back({row, column});
    return cells;
  }
  [[nodiscard]] std::vector<double> after_random_step(const std::vector<double>& before) const {
    std::vector<double> after(before.size());
    for (std::size_t i = 0; i < before.size(); ++i) {
      const Cell from{static_cast<int>(i / side()), static_cast<int>(i % side())};
      for (int move = 0; move < KeyToDoor::action_count; ++move)
        after[index(DarkRoom::moved(from, move, options_.side))] += before[i] / KeyToDoor::action_count;
    }
    return after;
  }

  KeyToDoorOptions options_;
  KeyToDoorNumbering numbering_;
};
static_assert(TaskFamily<KeyToDoorRooms> && HasOracleReturn<KeyToDoorRooms> && HasRandomReturn<KeyToDoorRooms>);
static_assert(HasSymmetries<KeyToDoorRooms>);

}  // namespace icrl
