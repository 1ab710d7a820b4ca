// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include <icrl/core/large_pages.hpp>

#include "support/measurement.hpp"

namespace icrl::bench {

/// Reads all numbers, eight vectors at a time, so that nothing but memory holds it up.
inline float sum_of(std::span<const float> numbers) {
  using Packet = float __attribute__((vector_size(32)));
  constexpr std::size_t lane_count = 8, packet_count = 8, stride = lane_count * packet_count;
  Packet sums[packet_count] = {};
  for (std::size_t i = 0; i + stride <= numbers.size(); i += stride) {
    for (std::size_t k = 0; k < packet_count; ++k) {
      Packet packet;
      std::memcpy(&packet, &numbers[i + k * lane_count], sizeof packet);
      sums[k] += packet;
    }
  }
  float total = 0;
  for (const Packet& sum : sums)
    for (std::size_t lane = 0; lane < lane_count; ++lane) total += sum[lane];
  return total;
}

/// Where numbers lie that are read.
enum class Pages { ordinary, large };

/// Seconds in which one thread reads so many numbers that lie side by side, and has read them before: no work that
/// needs all of them takes less.
inline double seconds_to_read(std::size_t float_count, Pages pages) {
  std::vector<float> ordinary(pages == Pages::ordinary ? float_count : 0, 1.0f);
  const auto large = zeros_in_large_pages<float>(pages == Pages::large ? float_count : 0);
  const std::span<const float> numbers{pages == Pages::ordinary ? ordinary.data() : large.get(), float_count};
  volatile float total = 0;  // so that no compiler leaves the reading out
  return quantile(time_calls(0.1, [&] { total = sum_of(numbers); }), 0.5);
}

}  // namespace icrl::bench
