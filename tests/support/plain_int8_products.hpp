// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/math/int8_simd128.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace icrl::test {

/// Products for Simd128Int8 number by number, so that every target runs its loops.
struct PlainInt8Products {
  static constexpr int panels = 2;
  using Sum = detail::UInt32x4;  // weights of NaN may wrap around
  using Factor = std::array<std::int8_t, 4>;

  static Factor factor(std::uint32_t word) { return detail::bits_as<Factor>(word); }
  static void add(Sum& sum, const detail::UInt8x16& codes, const Factor& by) {
    for (std::size_t i = 0; i < 16; ++i)
      sum[i / 4] += static_cast<std::uint32_t>(static_cast<std::int8_t>(codes[i]) * by[i % 4]);
  }
  static detail::Int32x4 total(const Sum& sum) { return detail::bits_as<detail::Int32x4>(sum); }

  using WeightedSum = Sum;
  using Weights = std::array<std::uint16_t, 4>;

  static void store_weights(const detail::UInt16x8& a, const detail::UInt16x8& b, std::uint8_t* to) {
    std::memcpy(to, &a, sizeof a);
    std::memcpy(to + 16, &b, sizeof b);
  }
  static Weights weights(const std::uint8_t* from, Index group) { return detail::load_bits<Weights>(from + 8 * group); }
  static void add_weighted(WeightedSum& sum, const detail::UInt8x16& codes, const Weights& by) {
    for (std::size_t i = 0; i < 16; ++i)
      sum[i / 4] += static_cast<std::uint32_t>(static_cast<std::int8_t>(codes[i])) * by[i % 4];
  }
};

}  // namespace icrl::test
