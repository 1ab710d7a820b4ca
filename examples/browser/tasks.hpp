// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include <icrl/env/dark_room.hpp>
#include <icrl/env/key_to_door.hpp>
#include <icrl/env/task_family.hpp>

// Which tasks the page's models are trained on. The page tells its visitor whether a task was one of them.
namespace browser {

/// Rooms as in 020_distil_dark_room: 57 of 81 goals are trained on.
[[nodiscard]] inline icrl::TaskSplit room_split(std::uint64_t seed) {
  return icrl::split_tasks(icrl::DarkRooms{}.task_count(),
                           {.train = 57, .validation = 8, .held_out = 16, .seed = seed});
}

/// Pairs of key and door as in 080_key_to_door: 1000 of 6480 are trained on.
[[nodiscard]] inline icrl::TaskSplit key_to_door_split(std::uint64_t seed, int train) {
  return icrl::split_tasks(icrl::KeyToDoorRooms{}.task_count(),
                           {.train = train, .validation = 64, .held_out = 64, .seed = seed});
}

}  // namespace browser
