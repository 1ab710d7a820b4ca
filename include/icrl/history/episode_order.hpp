// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <cstdint>
#include <utility>

#include <icrl/core/rng.hpp>

namespace icrl::detail {

/// The place of `index` in a random order of 0 .. count - 1 that depends on `key`, without storing the order: a Feistel
/// network permutes the next power of four, and results that are too large are permuted again. Eight rounds, because
/// fewer are visibly uneven for small counts.
[[nodiscard]] inline int shuffled_place(int index, int count, std::uint64_t key) {
  const int half_bits = (static_cast<int>(std::bit_width(static_cast<unsigned>(count))) + 1) / 2;
  const std::uint64_t half_mask = (std::uint64_t{1} << half_bits) - 1;
  auto value = static_cast<std::uint64_t>(index);
  do {
    std::uint64_t left = value >> half_bits, right = value & half_mask;
    for (std::uint64_t round = 0; round < 8; ++round) {
      left ^= Rng::from_state({key, 8 * right + round}).bits() & half_mask;
      std::swap(left, right);
    }
    value = left << half_bits | right;
  } while (value >= static_cast<std::uint64_t>(count));
  return static_cast<int>(value);
}

}  // namespace icrl::detail
