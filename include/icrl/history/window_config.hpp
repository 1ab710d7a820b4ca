// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/core/fail.hpp>
#include <icrl/history/step_layout.hpp>

namespace icrl {

/// How windows are cut out of histories, and what their labels are.
struct WindowConfig {
  int context = 80;          ///< rows of a window
  int subsample = 1;         ///< k: every k-th episode is kept, from one of the first k on, drawn per window
  double skip_fraction = 0;  ///< share of the episodes of a history that is left out at its start
  WindowStart start = WindowStart::episode;  ///< where a window may begin
  /// Fraction of windows that begin with the first kept episode. A window from the middle starts with a learner whose
  /// knowledge the window does not show. If most windows do, a fresh agent acts as if it already knew the task.
  double history_start_fraction = 0.5;
  bool shuffle_episodes = false;   ///< control: the same episodes in a random order, new for every window
  bool use_expert_action = false;  ///< labels are the expert's actions, not the ones taken
};

/// Throws Error for a value out of its range.
inline void validate(const WindowConfig& config) {
  if (config.context < 1) fail("window: context is {}, it must be at least 1", config.context);
  if (config.subsample < 1) fail("window: subsample is {}, it must be at least 1", config.subsample);
  if (!(config.skip_fraction >= 0 && config.skip_fraction < 1))
    fail("window: skip_fraction is {}, it must lie in [0, 1)", config.skip_fraction);
  if (!(config.history_start_fraction >= 0 && config.history_start_fraction <= 1))
    fail("window: history_start_fraction is {}, it must lie in [0, 1]", config.history_start_fraction);
}

}  // namespace icrl
