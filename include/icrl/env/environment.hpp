// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <type_traits>

#include <icrl/core/rng.hpp>
#include <icrl/env/space.hpp>

// What a task has to offer. One small concept a promise, so that a compiler's complaint names the promise that was
// broken.
namespace icrl {

/// What one step gave. `terminated`: the task ended (nothing can follow). `truncated`: the episode was cut, by a time
/// limit say.
struct StepResult {
  float reward;
  bool terminated = false;
  bool truncated = false;
};

/// It can be copied. The traits come first because a compiler's complaint about them is short.
template <typename E>
concept Copyable = std::is_copy_constructible_v<E> && std::is_copy_assignable_v<E> && std::copyable<E>;

/// `observation_space()` and `action_space()` tell the spaces, the same for every episode.
template <typename E>
concept HasSpaces = requires(const E& env) {
  { env.observation_space() } -> std::convertible_to<Space>;
  { env.action_space() } -> std::convertible_to<Space>;
};

/// `reset(rng)` begins an episode.
template <typename E>
concept Resettable = requires(E& env, Rng& rng) {
  { env.reset(rng) } -> std::same_as<void>;
};

/// `observe(out)` writes the present observation, value_count(observation_space()) floats.
template <typename E>
concept Observable = requires(const E& env, std::span<float> out) {
  { env.observe(out) } -> std::same_as<void>;
};

/// `step(int action, rng)`, for a Discrete action space.
template <typename E>
concept StepsById = requires(E& env, int action, Rng& rng) {
  { env.step(action, rng) } -> std::same_as<StepResult>;
};

/// `step(std::span<const float> action, rng)`, for any action space.
template <typename E>
concept StepsByValues = requires(E& env, std::span<const float> action, Rng& rng) {
  { env.step(action, rng) } -> std::same_as<StepResult>;
};

/// Either of them. As one bool, because compilers tell at length why each half of a disjunction fails.
template <typename E>
concept Steppable = bool(StepsById<E> || StepsByValues<E>);

/// A task that an agent can act in. Copies are independent of each other. All chance comes from the Rng that is handed
/// in.
template <typename E>
concept Environment = Copyable<E> && HasSpaces<E> && Resettable<E> && Observable<E> && Steppable<E>;

/// Optional: `action_mask(allowed)` writes one byte an action of a Discrete space, 0 = forbidden now.
template <typename E>
concept HasActionMask = requires(const E& env, std::span<std::uint8_t> allowed) {
  { env.action_mask(allowed) } -> std::same_as<void>;
};

/// Calls whichever `step` the environment has.
template <Environment E>
StepResult step(E& env, std::span<const float> action, Rng& rng) {
  if constexpr (StepsByValues<E>) {
    return env.step(action, rng);
  } else {
    return env.step(static_cast<int>(action[0]), rng);
  }
}

}  // namespace icrl
