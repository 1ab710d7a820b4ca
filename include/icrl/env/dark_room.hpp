// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <span>
#include <utility>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/environment.hpp>
#include <icrl/env/symmetry.hpp>
#include <icrl/env/task_family.hpp>

namespace icrl {

/// Where an episode begins. The corner is row 0, column 0. `random` is any cell, including the goal.
enum class DarkRoomStart { center, corner, random };

/// What a family of Dark Rooms is made with.
struct DarkRoomOptions {
  int side = 9;                                 ///< cells along each wall
  int horizon = 20;                             ///< steps in an episode
  DarkRoomStart start = DarkRoomStart::center;  ///< where an episode begins
  bool reward_once = false;                     ///< the goal pays only once per episode
  bool terminate_at_goal = false;               ///< reaching the goal ends the episode
};

inline void validate(const DarkRoomOptions& options) {
  constexpr int longest_side = 46340;  // task numbers must fit into an int
  if (options.side < 1 || options.side > longest_side)
    fail("dark room: side is {} cells, it must lie in 1 .. {}", options.side, longest_side);
  if (options.horizon < 1) fail("dark room: horizon is {} steps, it must be at least 1", options.horizon);
}

/// A place in a room, both numbers from 0.
struct Cell {
  int row, column;  ///< from the upper left corner
  friend bool operator==(const Cell&, const Cell&) = default;
};

/// A square room with one hidden goal cell. The agent sees its position but never the goal, so it must infer the goal
/// from past rewards (Laskin et al., 2022). A step that ends on the goal pays 1. Walls stop a move. The episode is
/// truncated at the horizon.
class DarkRoom {
public:
  /// Ids of the actions. `up` lowers the row, `left` the column.
  enum Action : int { stay, up, right, down, left };
  static constexpr int action_count = 5;  ///< the ids are 0 .. 4

  /// Throws Error for an invalid option or a goal outside the room.
  DarkRoom(const DarkRoomOptions& options, Cell goal) : options_{options}, goal_{goal} {
    validate(options);
    if (goal.row < 0 || goal.row >= options.side || goal.column < 0 || goal.column >= options.side) {
      fail("dark room: the goal ({}, {}) lies outside the {} x {} cells", goal.row, goal.column, options.side,
           options.side);
    }
    place(options.start == DarkRoomStart::center ? center() : Cell{0, 0});
  }

  [[nodiscard]] Space observation_space() const { return MultiDiscrete{{options_.side, options_.side}}; }
  [[nodiscard]] Space action_space() const { return Discrete{action_count}; }

  void reset(Rng& rng) {
    switch (options_.start) {
      case DarkRoomStart::center:
        return place(center());
      case DarkRoomStart::corner:
        return place({0, 0});
      case DarkRoomStart::random:
        const int row = rng.below(options_.side);
        return place({row, rng.below(options_.side)});
    }
  }

  StepResult step(int action, Rng&) {
    ICRL_ASSERT(action >= 0 && action < action_count, "dark room: action must lie in 0 .. 4");
    ICRL_ASSERT(time_ < options_.horizon, "dark room: the episode is over, call reset()");
    position_ = moved(position_, action, options_.side);
    const bool at_goal = position_ == goal_;
    const bool pays = at_goal && !(options_.reward_once && was_at_goal_);
    was_at_goal_ = was_at_goal_ || at_goal;
    const bool terminated = at_goal && options_.terminate_at_goal;
    return {pays ? 1.0f : 0.0f, terminated, ++time_ == options_.horizon && !terminated};
  }

  void observe(std::span<float> out) const {
    out[0] = static_cast<float>(position_.row);
    out[1] = static_cast<float>(position_.column);
  }

  /// How an action changes the row and the column if no wall is in the way.
  [[nodiscard]] static constexpr Cell move_of(int action) {
    ICRL_ASSERT(action >= 0 && action < action_count, "dark room: action must lie in 0 .. 4");
    constexpr Cell moves[action_count] = {{0, 0}, {-1, 0}, {0, 1}, {1, 0}, {0, -1}};
    return moves[action];
  }
  /// The cell that an action leads to in a room of `side` x `side` cells.
  [[nodiscard]] static Cell moved(Cell from, int action, int side) {
    const Cell move = move_of(action);
    return {std::clamp(from.row + move.row, 0, side - 1), std::clamp(from.column + move.column, 0, side - 1)};
  }

  /// Where the agent is.
  [[nodiscard]] Cell position() const { return position_; }
  /// The cell that pays; the agent does not see it.
  [[nodiscard]] Cell goal() const { return goal_; }
  [[nodiscard]] const DarkRoomOptions& options() const { return options_; }

private:
  [[nodiscard]] Cell center() const { return {options_.side / 2, options_.side / 2}; }
  void place(Cell at) {
    position_ = at;
    time_ = 0;
    was_at_goal_ = false;
  }

  DarkRoomOptions options_;
  Cell goal_;
  Cell position_{};
  int time_ = 0;
  bool was_at_goal_ = false;
};
static_assert(Environment<DarkRoom>);

/// One of the eight symmetries of a square: optionally exchanges rows and columns, then optionally reverses the order
/// of the rows and that of the columns.
class DarkRoomSymmetry {
public:
  /// `number` lies in 0 .. 7: bit 0 exchanges, bit 1 reverses the rows, bit 2 the columns. 0 is the identity.
  DarkRoomSymmetry(int side, int number) : side_{side}, number_{number} {
    ICRL_ASSERT(number >= 0 && number < count, "dark room symmetry: number must lie in 0 .. 7");
  }
  static constexpr int count = 8;  ///< symmetries of a square

  [[nodiscard]] Cell map_cell(Cell cell) const {
    const Cell turned = exchanged(cell);
    return {reverses_rows() ? side_ - 1 - turned.row : turned.row,
            reverses_columns() ? side_ - 1 - turned.column : turned.column};
  }
  /// The action that makes the image of this action's move.
  [[nodiscard]] int map_action(int action) const {
    const Cell turned = exchanged(DarkRoom::move_of(action));
    const Cell move{reverses_rows() ? -turned.row : turned.row, reverses_columns() ? -turned.column : turned.column};
    int image = 0;
    while (DarkRoom::move_of(image) != move) ++image;
    return image;
  }

  void map_observation(std::span<const float> from, std::span<float> to) const {
    const Cell cell = map_cell({static_cast<int>(from[0]), static_cast<int>(from[1])});
    to[0] = static_cast<float>(cell.row);
    to[1] = static_cast<float>(cell.column);
  }
  void map_action(std::span<const float> from, std::span<float> to) const {
    to[0] = static_cast<float>(map_action(static_cast<int>(from[0])));
  }
  [[nodiscard]] int map_task(int task) const {
    const Cell goal = map_cell({task / side_, task % side_});
    return goal.row * side_ + goal.column;
  }

private:
  [[nodiscard]] Cell exchanged(Cell cell) const { return (number_ & 1) != 0 ? Cell{cell.column, cell.row} : cell; }
  [[nodiscard]] bool reverses_rows() const { return (number_ & 2) != 0; }
  [[nodiscard]] bool reverses_columns() const { return (number_ & 4) != 0; }

  int side_, number_;
};
static_assert(Symmetry<DarkRoomSymmetry>);

/// One Dark Room per goal cell; task = row * side + column of the goal.
class DarkRooms {
public:
  /// Throws Error for an option outside its range.
  explicit DarkRooms(const DarkRoomOptions& options = {}) : options_{options} { validate(options); }

  [[nodiscard]] int task_count() const { return options_.side * options_.side; }
  [[nodiscard]] DarkRoom make(int task) const { return {options_, cell(task)}; }
  [[nodiscard]] const DarkRoomOptions& options() const { return options_; }

  /// The symmetries of the square that leave the start in place: all eight if episodes begin at a random cell or in the
  /// center of a room with an odd side, otherwise two, the identity and the transposition. A room with an even side has
  /// no exact center: its center cell, like a corner, is moved by the other six.
  [[nodiscard]] std::vector<DarkRoomSymmetry> symmetries() const {
    std::vector<DarkRoomSymmetry> kept;
    const Cell start = cell(start_cells().first);
    for (int number = 0; number < DarkRoomSymmetry::count; ++number) {
      const DarkRoomSymmetry symmetry{options_.side, number};
      if (options_.start == DarkRoomStart::random || symmetry.map_cell(start) == start) kept.push_back(symmetry);
    }
    return kept;
  }

  /// The exact return of a policy that takes a shortest path to the goal and stays there.
  [[nodiscard]] double oracle_return(int task) const {
    check_task(task);
    const auto start = start_cells();
    double total = 0;
    for (int i = start.first; i < start.second; ++i) {
      const Cell from = cell(i), goal = cell(task);
      const int distance = std::abs(from.row - goal.row) + std::abs(from.column - goal.column);
      const int paid_steps = std::max(0, options_.horizon - std::max(1, distance) + 1);
      total += pays_once() ? std::min(1, paid_steps) : paid_steps;
    }
    return total / (start.second - start.first);
  }

  /// The exact return of uniformly random actions, from the distribution over cells after each step.
  [[nodiscard]] double random_return(int task) const {
    check_task(task);
    const auto count = static_cast<std::size_t>(task_count()), goal = static_cast<std::size_t>(task);
    const auto start = start_cells();
    std::vector<double> mass(count), next(count);
    for (int i = start.first; i < start.second; ++i)
      mass[static_cast<std::size_t>(i)] = 1.0 / (start.second - start.first);
    double total = 0;
    for (int t = 0; t < options_.horizon; ++t) {
      std::fill(next.begin(), next.end(), 0.0);
      for (int i = 0; i < task_count(); ++i) {
        for (int action = 0; action < DarkRoom::action_count; ++action) {
          const Cell to = DarkRoom::moved(cell(i), action, options_.side);
          const int next_i = to.row * options_.side + to.column;
          next[static_cast<std::size_t>(next_i)] += mass[static_cast<std::size_t>(i)] / DarkRoom::action_count;
        }
      }
      std::swap(mass, next);
      total += mass[goal];
      if (pays_once()) mass[goal] = 0;  // an episode that has reached the goal earns nothing more
    }
    return total;
  }

private:
  [[nodiscard]] Cell cell(int number) const { return {number / options_.side, number % options_.side}; }
  void check_task([[maybe_unused]] int task) const {
    ICRL_ASSERT(task >= 0 && task < task_count(), "dark room: task must lie in 0 .. task_count() - 1");
  }
  [[nodiscard]] bool pays_once() const { return options_.reward_once || options_.terminate_at_goal; }
  /// The range of cells, first to one past the last, in which an episode begins with equal probability.
  [[nodiscard]] std::pair<int, int> start_cells() const {
    if (options_.start == DarkRoomStart::random) return {0, task_count()};
    const int middle = options_.side / 2;
    const int only = options_.start == DarkRoomStart::center ? middle * options_.side + middle : 0;
    return {only, only + 1};
  }

  DarkRoomOptions options_;
};
static_assert(TaskFamily<DarkRooms> && HasOracleReturn<DarkRooms> && HasRandomReturn<DarkRooms>);
static_assert(HasSymmetries<DarkRooms>);

}  // namespace icrl
