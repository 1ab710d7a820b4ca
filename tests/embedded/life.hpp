// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

// A life that is made up, the same one for an agent of the library and for one of a written header, on any target.
// C++17 without the library.
namespace embedded {

/// FNV-1a.
inline std::uint32_t checksum(std::uint32_t sum, const float* numbers, int count) {
  for (int i = 0; i < count; ++i) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, numbers + i, sizeof bits);
    for (int byte = 0; byte < 4; ++byte, bits >>= 8) sum = (sum ^ (bits & 0xffu)) * 16777619u;
  }
  return sum;
}

constexpr int most_numbers = 8;  // of an observation or an action

struct Checksums {
  std::uint32_t outputs = 2166136261u, actions = 2166136261u;
  bool is_well = true;  ///< no call was refused
};

/// Random whole numbers below a count.
class Source {
public:
  int below(int count) {
    state_ = state_ * 1664525u + 1013904223u;
    return static_cast<int>((state_ >> 16) % static_cast<std::uint32_t>(count));
  }

private:
  std::uint32_t state_ = 12345;
};

/// Of functions over many numbers each. `Functions` has exp2 of a double, exp2, gelu and root of a float, from_half,
/// and a random number of a seed.
template <typename Functions>
std::uint32_t arithmetic_checksum() {
  std::uint32_t sum = 2166136261u;
  const auto add = [&](float number) { sum = checksum(sum, &number, 1); };
  const auto add_double = [&](double number) {
    float halves[2];
    std::memcpy(halves, &number, sizeof halves);
    sum = checksum(sum, halves, 2);
  };
  constexpr float scales[] = {1e-37f, 1e-4f, 1.0f, 3e36f};
  Source source;
  for (int i = 0; i < 2000; ++i) {
    const int coarse = source.below(30000), fine = source.below(1000);
    const double number = coarse / 1024.0 + fine / 1048576.0;
    add_double(Functions::exp2(-number));
    add_double(Functions::uniform(static_cast<std::uint64_t>(i) << (i % 50)));
    const auto small = static_cast<float>(number);
    add(Functions::exp2(4 * (small - 15)));
    add(Functions::gelu(small - 15));
    for (const float scale : scales) add(Functions::root((small + 1) * scale));
  }
  add_double(Functions::exp2(-999.5));
  add_double(Functions::exp2(-1001.0));
  for (std::uint32_t half = 0; half < 0x10000u; ++half)
    if ((half & 0x7c00u) != 0x7c00u) add(Functions::from_half(static_cast<std::uint16_t>(half)));
  return sum;
}

/// A number within bounds, whole ones where they have to be; all operations are exact for bounds that are small and
/// whole.
inline float draw(Source& source, float low, float high, bool is_whole) {
  low = low < -4 ? -4 : low;
  high = high > 4 ? 4 : high;
  if (is_whole) return low + static_cast<float>(source.below(static_cast<int>(high - low) + 1));
  return low + (high - low) * static_cast<float>(source.below(1025)) / 1024;
}

/// A life has: context, observation_size, action_size, output_count; draw_observation(source, i) and draw_action;
/// act(observation, action), watch(observation), learn(action, reward, ends_episode, next_observation), reset(), each
/// of which says whether it was well, and outputs(). In the middle it forgets everything. At every fifth step it
/// watches.
template <typename Agent>
Checksums live(Agent& agent, int steps) {
  Source source;
  Checksums sums;
  float observation[most_numbers] = {}, next[most_numbers] = {}, action[most_numbers] = {};
  const auto observe = [&](float* numbers) {
    for (int i = 0; i < agent.observation_size; ++i) numbers[i] = agent.draw_observation(source, i);
  };
  observe(observation);
  int left = 3;  // of an episode
  for (int t = 0; t < steps; ++t) {
    if (t == steps / 2) {
      agent.reset();
      left = 2;
    }
    if (t % 5 == 4) {
      sums.is_well = sums.is_well && agent.watch(observation);
      for (int i = 0; i < agent.action_size; ++i) action[i] = agent.draw_action(source, i);
    } else {
      sums.is_well = sums.is_well && agent.act(observation, action);
      sums.outputs = checksum(sums.outputs, agent.outputs(), agent.output_count);
      sums.actions = checksum(sums.actions, action, agent.action_size);
    }
    const bool ends_episode = --left == 0;
    const float reward = static_cast<float>(source.below(5)) / 4 - 0.25f;
    observe(next);
    sums.is_well = sums.is_well && agent.learn(action, reward, ends_episode, next);
    if (ends_episode) {
      left = source.below(3) == 0 ? 1 + source.below(agent.context - 2) : 1 + source.below(agent.context / 3);
      observe(observation);
    } else {
      std::memcpy(observation, next, sizeof observation);
    }
  }
  return sums;
}

}  // namespace embedded
