// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

// Types that keep every promise. Each case breaks one of them.

#include <span>

#include <icrl/env/environment.hpp>
#include <icrl/env/task_family.hpp>
#include <icrl/learner/learner.hpp>

struct SoundEnvironment {
  [[nodiscard]] icrl::Space observation_space() const { return icrl::Discrete{2}; }
  [[nodiscard]] icrl::Space action_space() const { return icrl::Discrete{2}; }
  void reset(icrl::Rng&) {}
  void observe(std::span<float> out) const { out[0] = 0; }
  icrl::StepResult step(int, icrl::Rng&) { return {.reward = 0, .truncated = true}; }
};

struct SoundFamily {
  [[nodiscard]] int task_count() const { return 1; }
  [[nodiscard]] SoundEnvironment make(int) const { return {}; }
};

struct SoundLearner {
  void act(std::span<const float>, std::span<float> action, icrl::Rng&) { action[0] = 0; }
  void learn(const icrl::Transition&) {}
};
