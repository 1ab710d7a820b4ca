// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include <icrl/env/environment.hpp>

namespace icrl::test {

/// A corridor of cells. Action 1 goes right, 0 left; the right end pays 1 and terminates, and time is limited. With
/// `slip` a step goes nowhere.
struct Corridor {
  int cells = 4, horizon = 10;
  double slip = 0;
  int position = 0, time = 0;

  [[nodiscard]] Space observation_space() const { return Discrete{cells}; }
  [[nodiscard]] Space action_space() const { return Discrete{2}; }
  void reset(Rng&) { position = time = 0; }
  void observe(std::span<float> out) const { out[0] = static_cast<float>(position); }
  StepResult step(int action, Rng& rng) {
    if (!rng.chance(slip)) position = std::clamp(position + (action == 1 ? 1 : -1), 0, cells - 1);
    const bool at_end = position == cells - 1;
    return {at_end ? 1.0f : 0.0f, at_end, ++time == horizon};
  }
};

/// At even times only even actions are allowed, at odd times only odd ones. Four actions, six steps.
struct TurnTaking {
  int time = 0;

  [[nodiscard]] Space observation_space() const { return Discrete{7}; }
  [[nodiscard]] Space action_space() const { return Discrete{4}; }
  void reset(Rng&) { time = 0; }
  void observe(std::span<float> out) const { out[0] = static_cast<float>(time); }
  void action_mask(std::span<std::uint8_t> allowed) const {
    for (std::size_t a = 0; a < allowed.size(); ++a) allowed[a] = static_cast<int>(a) % 2 == time % 2;
  }
  StepResult step(int action, Rng&) {
    const float reward = action % 2 == time % 2 ? 1.0f : -100.0f;
    return {reward, false, ++time == 6};
  }
};

/// A point on a line that moves as far as it is told, at most 1, for five steps.
struct Slider {
  float position = 0;
  int time = 0;

  [[nodiscard]] Space observation_space() const { return Box{{-5}, {5}}; }
  [[nodiscard]] Space action_space() const { return Box{{-1}, {1}}; }
  void reset(Rng&) {
    position = 0;
    time = 0;
  }
  void observe(std::span<float> out) const { out[0] = position; }
  StepResult step(std::span<const float> action, Rng&) {
    position += action[0];
    return {position, false, ++time == 5};
  }
};

/// A family of four tasks, all of which are the same environment.
template <Environment E>
struct CopiesOf {
  E env{};

  [[nodiscard]] static int task_count() { return 4; }
  [[nodiscard]] E make(int) const { return env; }
};

}  // namespace icrl::test
