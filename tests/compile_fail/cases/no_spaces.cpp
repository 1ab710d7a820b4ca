// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// breaks: HasSpaces
// shows: env.observation_space()
#include <icrl/learner/run.hpp>

#include "sound.hpp"

struct Broken {
  void reset(icrl::Rng&) {}
  void observe(std::span<float> out) const { out[0] = 0; }
  icrl::StepResult step(int, icrl::Rng&) { return {.reward = 0}; }
};

int main() {
  SoundLearner learner;
  icrl::run(learner, Broken{}, 1, icrl::Rng{0});
}
