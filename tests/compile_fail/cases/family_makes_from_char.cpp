// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// breaks: MakeKeepsTasks
// shows: detail::LossyNumber
#include <array>

#include <icrl/learner/collect.hpp>

#include "sound.hpp"

struct Broken {
  [[nodiscard]] int task_count() const { return 300; }
  [[nodiscard]] SoundEnvironment make(unsigned char) const { return {}; }
};

int main() {
  const auto make_learner = [](int, const SoundEnvironment&) { return SoundLearner{}; };
  (void)icrl::collect(Broken{}, std::array{0}, make_learner, {});
}
