// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// breaks: StepKeepsIds
// shows: detail::LossyNumber
#include <icrl/learner/run.hpp>

#include "sound.hpp"

struct Broken : SoundEnvironment {
  [[nodiscard]] icrl::Space action_space() const { return icrl::Box{{-1}, {1}}; }
  icrl::StepResult step(float, icrl::Rng&) { return {.reward = 0}; }
};

int main() {
  SoundLearner learner;
  icrl::run(learner, Broken{}, 1, icrl::Rng{0});
}
