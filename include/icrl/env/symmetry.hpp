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

/// Number i of a random-access range, which need not have an operator[].
template <std::ranges::random_access_range R>
[[nodiscard]] decltype(auto) nth(const R& range, std::size_t i) {
  return std::ranges::begin(range)[static_cast<std::ranges::range_difference_t<const R>>(i)];
}

}  // namespace detail

/// Optional: `symmetries()` returns a random-access range, usually a std::vector, of the family's symmetries. The first
/// is the identity. expect_symmetries verifies them.
template <typename F>
concept HasSymmetries = TaskFamily<F> && requires {
  requires std::ranges::random_access_range<const detail::SymmetriesOf<F>>;
  requires std::ranges::sized_range<const detail::SymmetriesOf<F>>;
  requires Symmetry<std::ranges::range_value_t<const detail::SymmetriesOf<F>>>;
};

}  // namespace icrl
