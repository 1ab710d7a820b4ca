// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// breaks: StepKeepsIds
// shows: detail::LossyNumber
#include <icrl/env/time_limit.hpp>

#include "sound.hpp"

struct Broken : SoundEnvironment {
  [[nodiscard]] icrl::Space action_space() const { return icrl::Box{{-1}, {1}}; }
  icrl::StepResult step(double, icrl::Rng&) { return {.reward = 0}; }
};

int main() { const icrl::TimeLimit<Broken> limited{Broken{}, 10}; }
