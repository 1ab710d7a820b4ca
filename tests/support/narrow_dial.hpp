// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <span>

#include <icrl/core/rng.hpp>
#include <icrl/env/environment.hpp>
#include <icrl/env/space.hpp>

namespace icrl::test {

/// Pays the more the nearer a number is to `best`, which may be one of its two bounds.
struct NarrowDial {
  float best = 1;

  [[nodiscard]] Space observation_space() const { return Box{{-1}, {1}}; }
  [[nodiscard]] Space action_space() const { return Box{{0}, {1}}; }
  void reset(Rng&) {}
  void observe(std::span<float> out) const { out[0] = 0.5f; }
  StepResult step(std::span<const float> action, Rng&) { return {1 - std::abs(action[0] - best), true, false}; }
};

}  // namespace icrl::test
