// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// breaks: Policy
// shows: policy.act(
#include <icrl/learner/run.hpp>

#include "sound.hpp"

struct Broken {
  void learn(const icrl::Transition&) {}
};

int main() {
  Broken learner;
  icrl::run(learner, SoundEnvironment{}, 1, icrl::Rng{0});
}
