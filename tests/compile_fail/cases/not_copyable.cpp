// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// breaks: Copyable
// shows: is_copy_constructible
#include <icrl/learner/run.hpp>

#include "sound.hpp"

struct Broken : SoundEnvironment {
  Broken() = default;
  Broken(const Broken&) = delete;
};

int main() {
  SoundLearner learner;
  icrl::run(learner, Broken{}, 1, icrl::Rng{0});
}
