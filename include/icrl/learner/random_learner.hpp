// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <variant>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/space.hpp>
#include <icrl/learner/learner.hpp>

namespace icrl {

/// A uniformly random allowed action of a Discrete space. Throws Error if none is allowed.
[[nodiscard]] inline int random_allowed(std::span<const std::uint8_t> allowed, Rng& rng) {
  int count = 0;
  for (const std::uint8_t byte : allowed) count += byte != 0;
  if (count == 0) fail("action mask: none of the {} actions is allowed", allowed.size());
  int left = rng.below(count);
  std::size_t action = 0;
  while (allowed[action] == 0 || left-- > 0) ++action;
  return static_cast<int>(action);
}

/// Acts uniformly at random and learns nothing. It is the baseline that any learner has to beat.
class RandomPolicy {
public:
  /// Throws Error for an invalid space.
  explicit RandomPolicy(Space action_space) : action_space_{std::move(action_space)} {
    validate(action_space_, "action space of a random policy");
  }

  void act(std::span<const float>, std::span<float> action, Rng& rng) { sample(action_space_, rng, action); }
  /// Throws Error for a mask that does not have one byte per action of a Discrete space, or that allows no action.
  void act(std::span<const float>, std::span<const std::uint8_t> allowed, std::span<float> action, Rng& rng) {
    const auto* const discrete = std::get_if<Discrete>(&action_space_);
    if (discrete == nullptr || allowed.size() != static_cast<std::size_t>(discrete->count))
      fail("random policy: the mask has {} actions, but the action space is {}", allowed.size(),
           to_short_string(action_space_));
    action[0] = static_cast<float>(random_allowed(allowed, rng));
  }
  void learn(const Transition&) {}

  /// Throws Error unless this is the action space that it was made for.
  void check_spaces(const Space&, const Space& action_space) const {
    detail::check_action_space(action_space_, action_space, "random policy");
  }

private:
  Space action_space_;
};
static_assert(Learner<RandomPolicy> && MaskedPolicy<RandomPolicy> && ExpectsSpaces<RandomPolicy>);

}  // namespace icrl
