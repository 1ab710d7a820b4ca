// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// says: a maker of learners returns a Learner (it acts and learns) or a GroupLearner
#include <icrl/learner/collect.hpp>

#include "sound.hpp"

struct Broken {
  void act(std::span<const float>, std::span<float> action, icrl::Rng&) { action[0] = 0; }
};

int main() {
  (void)icrl::collect(SoundFamily{}, std::vector<int>{0}, [](int, const SoundEnvironment&) { return Broken{}; },
                      {.episodes = 1});
}
