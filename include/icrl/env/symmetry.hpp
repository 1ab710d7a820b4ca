// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <ranges>
#include <span>
#include <type_traits>
#include <utility>

#include <icrl/env/task_family.hpp>

namespace icrl {

/// A change of coordinates that turns one task of a family into another: everything that happens in the first task,
/// mapped by these functions, happens in the second. A map of ids is one to one; a map of a Box preserves volumes.
template <typename S>
concept Symmetry = requires(const S& symmetry, std::span<const float> from, std::span<float> to, int task) {
  { symmetry.map_observation(from, to) } -> std::same_as<void>;
  { symmetry.map_action(from, to) } -> std::same_as<void>;
  { symmetry.map_task(task) } -> std::same_as<int>;
};

namespace detail {

template <typename F>
using SymmetriesOf = std::remove_cvref_t<decltype(std::declval<const F&>().symmetries())>;

/// Element i of a random-access range, which need not have an operator[].
template <std::ranges::random_access_range R>
[[nodiscard]] decltype(auto) nth(const R& range, std::size_t i) {
  return std::ranges::begin(range)[static_cast<std::ranges::range_difference_t<const R>>(i)];
}

}  // namespace detail

/// Optional: `symmetries()` returns a random-access range, usually a std::vector, of the symmetries of the family. The
/// first is the identity. check_symmetries checks them.
template <typename F>
concept HasSymmetries = TaskFamily<F> && requires {
  requires std::ranges::random_access_range<const detail::SymmetriesOf<F>>;
  requires std::ranges::sized_range<const detail::SymmetriesOf<F>>;
  requires Symmetry<std::ranges::range_value_t<const detail::SymmetriesOf<F>>>;
};

}  // namespace icrl
