// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/dark_room.hpp>
#include <icrl/history/learning_history.hpp>

int horizon();

int horizon() { return icrl::DarkRooms{{.side = 4, .horizon = 8}}.options().horizon; }
