// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <limits>
#include <span>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/action_permutation.hpp>
#include <icrl/env/dark_room.hpp>
#include <icrl/env/environment.hpp>
#include <icrl/env/task_family.hpp>

namespace icrl {

/// A Dark Room in which the agent does not know which action makes which move either.
class PermutedDarkRoom {
public:
  /// `room` decides all but the move that an action makes.
  PermutedDarkRoom(const DarkRoom& room, const ActionPermutation& permutation)
      : room_{room}, permutation_{permutation} {}

  [[nodiscard]] Space observation_space() const { return room_.observation_space(); }
  [[nodiscard]] Space action_space() const { return room_.action_space(); }
  void reset(Rng& rng) { room_.reset(rng); }
  void observe(std::span<float> out) const { room_.observe(out); }
  StepResult step(int action, Rng& rng) { return room_.step(permutation_.move_of(action), rng); }

  /// The room inside, whose actions are moves.
  [[nodiscard]] const DarkRoom& room() const { return room_; }
  /// Which move each action makes; the agent does not see it.
  [[nodiscard]] const ActionPermutation& permutation() const { return permutation_; }

private:
  DarkRoom room_;
  ActionPermutation permutation_;
};
static_assert(Environment<PermutedDarkRoom>);

/// Dark Rooms with each of the 120 permutations of their five actions; task = goal's task in DarkRooms * 120 +
/// permutation's number. With one goal for all tasks (`goal`), only the permutations differ: Son et al. (2025) have the
/// goal in the corner opposite to the start.
class PermutedDarkRooms {
public:
  static constexpr int any_goal = -1;  ///< every cell is the goal of 120 tasks

  /// `goal` is a task of DarkRooms, or any_goal. Throws Error for an invalid option or goal, and for a room with more
  /// tasks than an int can number.
  explicit PermutedDarkRooms(const DarkRoomOptions& options = {}, int goal = any_goal) : rooms_{options}, goal_{goal} {
    if (goal < any_goal || goal >= rooms_.task_count())
      fail("permuted dark room: goal is cell {}, it must lie in 0 .. {}", goal, rooms_.task_count() - 1);
    if (goal == any_goal && rooms_.task_count() > std::numeric_limits<int>::max() / ActionPermutation::count)
      fail("permuted dark room: side is {} cells, with {} permutations there are too many tasks", options.side,
           ActionPermutation::count);
  }

  [[nodiscard]] int task_count() const {
    return (goal_ == any_goal ? rooms_.task_count() : 1) * ActionPermutation::count;
  }
  [[nodiscard]] PermutedDarkRoom make(int task) const {
    return {rooms_.make(goal_of(task)), ActionPermutation{task % ActionPermutation::count}};
  }
  [[nodiscard]] const DarkRoomOptions& options() const { return rooms_.options(); }

  /// The exact returns do not depend on the permutation.
  [[nodiscard]] double oracle_return(int task) const { return rooms_.oracle_return(goal_of(task)); }
  /// As in DarkRooms, for the task's goal.
  [[nodiscard]] double random_return(int task) const { return rooms_.random_return(goal_of(task)); }

private:
  [[nodiscard]] int goal_of(int task) const {
    ICRL_ASSERT(task >= 0 && task < task_count(), "permuted dark room: task must lie in 0 .. task_count() - 1");
    return goal_ == any_goal ? task / ActionPermutation::count : goal_;
  }

  DarkRooms rooms_;
  int goal_;
};
static_assert(TaskFamily<PermutedDarkRooms> && HasOracleReturn<PermutedDarkRooms> &&
              HasRandomReturn<PermutedDarkRooms>);

}  // namespace icrl
