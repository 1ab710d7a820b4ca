// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <variant>

#include <icrl/core/assert.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/space.hpp>

// The requirements for a task. There is one small concept per promise, so that a compiler error names the promise that
// is broken.
namespace icrl {

/// The result of one step. `terminated`: the task ended and nothing can follow. `truncated`: the episode was cut off,
/// for example by a time limit.
struct StepResult {
  float reward;             ///< of this step, finite
  bool terminated = false;  ///< the task ended; observe() still gives the last observation
  bool truncated = false;   ///< cut off; the next observation still has a value
};

/// It can be copied. The type traits come first because compiler errors about them are short.
template <typename E>
concept Copyable = std::is_copy_constructible_v<E> && std::is_copy_assignable_v<E> && std::copyable<E>;

/// `observation_space()` and `action_space()` return the spaces, the same for every episode.
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

/// `observe(out)` writes the current observation, value_count(observation_space()) floats.
template <typename E>
concept Observable = requires(const E& env, std::span<float> out) {
  { env.observe(out) } -> std::same_as<void>;
};

namespace detail {

/// Converts to any number type that would lose an int silently: floating-point types, bool and narrower integers.
struct LossyNumber {
  template <typename T>
  requires(std::floating_point<T> || (std::integral<T> && sizeof(T) < sizeof(int))) operator T() const;
};
/// Converts to an int and to nothing else.
struct ExactInt {
  template <std::same_as<int> T>
  operator T() const;
};

}  // namespace detail

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

namespace detail {

template <typename E, typename Action>
inline constexpr bool steps_with = requires(E& env, Action action, Rng& rng) {
  env.step(action, rng);
};

}  // namespace detail

/// Has either `step`. Written as one bool, because compilers explain at length why each half of a disjunction fails.
template <typename E>
concept Steppable = bool(StepsById<E> || StepsByValues<E>);

/// Its `step` takes an id as an int and not as a float, bool or char, to which an int converts silently. Otherwise a
/// torque would be cut to a whole number. Actions of numbers are passed as std::span<const float>, even if there is
/// only one number.
template <typename E>
concept StepKeepsIds = bool(StepsByValues<E> || !detail::steps_with<E, detail::LossyNumber> ||
                            detail::steps_with<E, detail::ExactInt>);

/// Optional: `action_mask(allowed)` writes one byte per action of a Discrete space, 0 = forbidden now.
template <typename E>
concept HasActionMask = requires(const E& env, std::span<std::uint8_t> allowed) {
  { env.action_mask(allowed) } -> std::same_as<void>;
};

/// If it has an `action_mask`, that is the one that is called: const, of a std::span<std::uint8_t>, and it returns
/// nothing. Any other would be ignored silently, and forbidden actions be taken.
template <typename E>
concept ActionMaskIsCalled = bool(HasActionMask<E> || !requires { &E::action_mask; });

/// A task that an agent can act in. Copies are independent of each other. All randomness comes from the Rng argument.
template <typename E>
concept Environment = Copyable<E> && HasSpaces<E> && Resettable<E> && Observable<E> && Steppable<E> &&
    StepKeepsIds<E> && ActionMaskIsCalled<E>;

/// Throws Error, which begins with `what`, if the environment has only `step(int, rng)` but its action space is not
/// Discrete.
template <Environment E>
void check_step_takes(const Space& action_space, std::string_view what) {
  if (StepsByValues<E> || std::holds_alternative<Discrete>(action_space)) return;
  fail("{}: step takes one id, but its action space is {} (write step(std::span<const float>, Rng&))", what,
       to_short_string(action_space));
}

/// Calls the `step` that the environment has; the one with an int only if an action is one id (see check_step_takes).
template <Environment E>
StepResult step(E& env, std::span<const float> action, Rng& rng) {
  if constexpr (StepsByValues<E>) {
    return env.step(action, rng);
  } else {
    ICRL_ASSERT(action.size() == 1, "step(int, rng): the action must be one id");
    return env.step(static_cast<int>(action[0]), rng);
  }
}

}  // namespace icrl
