// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>

#include <icrl/core/fail.hpp>
#include <icrl/history/step_layout.hpp>

namespace icrl {

/// When the contexts of one stream open and fill up; StaggeredContexts follows it. All lengths are in rows.
struct ContextPolicy {
  std::optional<int> max_length = {};                ///< of a context; none: no context is ever full
  WindowStart window_start = WindowStart::anywhere;  ///< where a context may begin
  int context_count = 1;                             ///< open at once

  /// Whether a context of this length takes no further row.
  [[nodiscard]] bool is_full(std::int64_t length) const { return max_length && length >= *max_length; }

  /// Whether a context has taken its share, max_length / context_count rounded up, after which the next may open.
  [[nodiscard]] bool has_share(std::int64_t length) const {
    return max_length && length * context_count >= *max_length;
  }

  /// Whether a context may open at any row, not only at the first of an episode.
  [[nodiscard]] bool starts_anywhere() const { return !max_length || window_start == WindowStart::anywhere; }

  /// Whether a context opens at a row with these flags (see StepFlag) while `open_count` are open, the youngest of
  /// which holds `youngest_length` rows. None opens at a closing row: a context that holds only a closing row cannot
  /// choose an action.
  [[nodiscard]] bool opens_at(int flags, int open_count, std::int64_t youngest_length) const {
    if ((flags & StepFlag::closing) != 0) return false;
    if (open_count == 0) return true;
    const bool may_start = starts_anywhere() || (flags & StepFlag::episode_start) != 0;
    return may_start && open_count < context_count && has_share(youngest_length);
  }

  /// Throws Error for an invalid number of contexts.
  friend void validate(const ContextPolicy& policy) {
    const int min = policy.starts_anywhere() ? 1 : 2, max = policy.max_length ? 1024 : 1;
    if (policy.context_count >= min && policy.context_count <= max) return;
    fail("in-context agents: context_count is {}, it must lie in {} .. {} for windows that start {}",
         policy.context_count, min, max, to_string(policy.window_start));
  }
};

}  // namespace icrl
