// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// breaks: MakesEnvironments
// shows: family.make(task)
#include <array>

#include <icrl/learner/collect.hpp>

#include "sound.hpp"

struct WithoutStepResult : SoundEnvironment {
  float step(int, icrl::Rng&) { return 0; }
};

struct Broken : SoundFamily {
  [[nodiscard]] WithoutStepResult make(int) const { return {}; }
};

int main() {
  const auto make_learner = [](int, const WithoutStepResult&) { return SoundLearner{}; };
  (void)icrl::collect(Broken{}, std::array{0}, make_learner, {});
}
