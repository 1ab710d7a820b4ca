// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

#include <sys/mman.h>

#include <icrl/core/fail.hpp>
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

/// Where numbers lie that are read: in pages of 4 KB, as the system gives them out for anything large, or of 2 MB.
enum class Pages { ordinary, large };

/// Seconds in which one thread reads so many numbers that lie side by side, and has read them before: no work that
/// needs all of them takes less.
inline double seconds_to_read(std::size_t float_count, Pages pages) {
  const auto time_of = [](std::span<const float> numbers) {
    volatile float total = 0;  // so that no compiler leaves the reading out
    return quantile(time_calls(0.1, [&] { total = sum_of(numbers); }), 0.5);
  };
  if (pages == Pages::large) {
    const LargePageArray<float> numbers{float_count};
    return time_of({numbers.data(), float_count});
  }
  // Not from the heap, parts of which may have been in use before.
  const std::size_t bytes = float_count * sizeof(float);
  void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail("no memory for {} bytes to read", bytes);
  (void)::madvise(memory, bytes, MADV_NOHUGEPAGE);
  const std::span<float> numbers{static_cast<float*>(memory), float_count};
  std::fill(numbers.begin(), numbers.end(), 1.0f);
  const double seconds = time_of(numbers);
  ::munmap(memory, bytes);
  return seconds;
}

}  // namespace icrl::bench
