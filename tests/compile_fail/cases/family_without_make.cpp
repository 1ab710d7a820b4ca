// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// breaks: MakesEnvironments
// shows: family.make(task)
#include <array>

#include <icrl/learner/collect.hpp>

#include "sound.hpp"

struct Broken {
  [[nodiscard]] int task_count() const { return 1; }
};

int main() {
  const auto make_learner = [](int, const SoundEnvironment&) { return SoundLearner{}; };
  (void)icrl::collect(Broken{}, std::array{0}, make_learner, {});
}
