// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// breaks: Observable
// shows: env.observe(out)
#include <vector>

#include <icrl/learner/run.hpp>

#include "sound.hpp"

struct Broken : SoundEnvironment {
  [[nodiscard]] std::vector<float> observe() const { return {0}; }
};

int main() {
  SoundLearner learner;
  icrl::run(learner, Broken{}, 1, icrl::Rng{0});
}
