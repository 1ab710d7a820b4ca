// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// breaks: StepKeepsIds
// shows: detail::LossyNumber
#include <icrl/learner/run.hpp>

#include "sound.hpp"

struct Broken : SoundEnvironment {
  icrl::StepResult step(bool, icrl::Rng&) { return {.reward = 0}; }
};

int main() {
  SoundLearner learner;
  icrl::run(learner, Broken{}, 1, icrl::Rng{0});
}
