// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// breaks: HasTaskCount
// shows: family.task_count()
#include <array>

#include <icrl/learner/collect.hpp>

#include "sound.hpp"

struct Broken {
  [[nodiscard]] SoundEnvironment make(int) const { return {}; }
};

int main() {
  const auto make_learner = [](int, const SoundEnvironment&) { return SoundLearner{}; };
  (void)icrl::collect(Broken{}, std::array{0}, make_learner, {});
}
