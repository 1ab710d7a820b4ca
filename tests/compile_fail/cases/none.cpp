// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// Nothing is broken, so this compiles: what the other cases show is their fault alone.
#include <array>

#include <icrl/env/check_environment.hpp>
#include <icrl/learner/collect.hpp>
#include <icrl/learner/run.hpp>

#include "sound.hpp"

int main() {
  SoundLearner learner;
  icrl::run(learner, SoundEnvironment{}, 1, icrl::Rng{0});
  const auto make_learner = [](int, const SoundEnvironment&) { return SoundLearner{}; };
  (void)icrl::collect(SoundFamily{}, std::array{0}, make_learner, {});
  return icrl::check_environment(SoundEnvironment{}).ok() ? 0 : 1;
}
