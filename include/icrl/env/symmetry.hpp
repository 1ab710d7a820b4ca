// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <span>
#include <type_traits>
#include <utility>

#include <icrl/env/task_family.hpp>

namespace icrl {

/// A change of coordinates that turns a task of a family into another task of it: what happens in one, mapped number
/// by number, happens in the other. A map of ids is one to one, a map of a Box keeps volumes.
template <typename S>
concept Symmetry = requires(const S& symmetry, std::span<const float> from, std::span<float> to, int task) {
  { symmetry.map_observation(from, to) } -> std::same_as<void>;
  { symmetry.map_action(from, to) } -> std::same_as<void>;
  { symmetry.map_task(task) } -> std::same_as<int>;
};

namespace detail {

template <typename F>
using SymmetriesOf = std::remove_cvref_t<decltype(std::declval<const F&>().symmetries())>;

}  // namespace detail

/// Optional: `symmetries()` returns the symmetries of a family, a std::vector of them say. The first is the identity.
/// check_symmetries tells whether they are what they say.
template <typename F>
concept HasSymmetries = TaskFamily<F> && requires {
  requires Symmetry<typename detail::SymmetriesOf<F>::value_type>;
};

}  // namespace icrl
