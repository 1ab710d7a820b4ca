// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// breaks: CheckSpacesIsCalled
// shows: Broken
#include <icrl/learner/run.hpp>

#include "sound.hpp"

struct Broken : SoundLearner {
  void check_spaces(const icrl::Space&, const icrl::Space&) {}
};

int main() {
  Broken learner;
  icrl::run(learner, SoundEnvironment{}, 1, icrl::Rng{0});
}
