// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// breaks: Resettable
// shows: env.reset(rng)
#include <icrl/learner/run.hpp>

#include "sound.hpp"

struct Broken : SoundEnvironment {
  int reset(icrl::Rng&) { return 0; }
};

int main() {
  SoundLearner learner;
  icrl::run(learner, Broken{}, 1, icrl::Rng{0});
}
