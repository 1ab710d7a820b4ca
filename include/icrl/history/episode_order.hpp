// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <cstdint>

namespace icrl::detail {

/// The place of `index` in a random order of 0 .. count - 1 that `key` names, without keeping the order anywhere:
/// a Feistel network shuffles the next power of four, and numbers that fall outside are sent through it again.
[[nodiscard]] inline int shuffled_place(int index, int count, std::uint64_t key) {
  const int half_bits = (static_cast<int>(std::bit_width(static_cast<unsigned>(count))) + 1) / 2;
  const std::uint64_t half_mask = (std::uint64_t{1} << half_bits) - 1;
  auto value = static_cast<std::uint64_t>(index);
  do {
    std::uint64_t left = value >> half_bits, right = value & half_mask;
    for (std::uint64_t round = 1; round <= 4; ++round) {
      std::uint64_t mixed = (right + key) * 0x9E3779B97F4A7C15u + round * 0xD1B54A32D192ED03u;
      mixed = (mixed ^ (mixed >> 32)) * 0xBF58476D1CE4E5B9u;
      left ^= (mixed ^ (mixed >> 29)) & half_mask;
      const std::uint64_t swapped = left;
      left = right;
      right = swapped;
    }
    value = left << half_bits | right;
  } while (value >= static_cast<std::uint64_t>(count));
  return static_cast<int>(value);
}

}  // namespace icrl::detail
