// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// breaks: Resettable
// shows: env.reset(rng)
#include <icrl/learner/run.hpp>

#include "sound.hpp"

struct Broken : private SoundEnvironment {
  using SoundEnvironment::action_space, SoundEnvironment::observation_space;
  using SoundEnvironment::observe, SoundEnvironment::step;
};

int main() {
  SoundLearner learner;
  icrl::run(learner, Broken{}, 1, icrl::Rng{0});
}
