// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// breaks: Learner
// shows: learner.learn(transition)
#include <icrl/learner/run.hpp>

#include "sound.hpp"

struct Broken {
  void act(std::span<const float>, std::span<float> action, icrl::Rng&) { action[0] = 0; }
};

int main() {
  Broken learner;
  icrl::run(learner, SoundEnvironment{}, 1, icrl::Rng{0});
}
