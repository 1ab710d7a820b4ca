// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

#include <icrl/core/assert.hpp>

namespace icrl {

/// Random numbers that depend only on (seed, stream, counter): the same on every platform and with any number of
/// threads (except the last digit of normal(), which depends on the platform's logarithm and cosine). The mixing is
/// SplitMix64's (Steele, Lea & Flood, 2014) over a counter, keyed by seed and stream. icrl has its own distributions,
/// because those of the standard library differ between implementations.
class Rng {
public:
  /// What determines all numbers that follow.
  struct State {
    std::uint64_t key, counter;  ///< mixed from seed and stream; 64-bit numbers drawn so far
    friend bool operator==(const State&, const State&) = default;
  };

  /// Generators with different seeds or streams are independent of each other.
  explicit Rng(std::uint64_t seed, std::uint64_t stream = 0)
      : state_{mix(mix(seed + golden) ^ (stream * odd + golden)), 0} {}

  /// 64 uniform bits.
  std::uint64_t bits() { return mix(state_.key + golden * ++state_.counter); }

  /// Uniform in [0, 1), a multiple of 2^-53.
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }

  /// Uniform in 0 .. count - 1, count >= 1; without bias (Lemire, 2019).
  int below(int count) {
    ICRL_ASSERT(count > 0, "Rng::below: count must be positive");
    const auto range = static_cast<std::uint32_t>(count);
    std::uint64_t product = (bits() >> 32) * range;
    if (static_cast<std::uint32_t>(product) < range) {  // rare, so the slow division is rarely needed
      const std::uint32_t threshold = (0u - range) % range;
      while (static_cast<std::uint32_t>(product) < threshold) product = (bits() >> 32) * range;
    }
    return static_cast<int>(product >> 32);
  }

  /// Normal with mean 0 and standard deviation 1 (Box & Muller, 1958). Uses two numbers of the generator and stores
  /// none.
  double normal() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }

  /// True with this probability, which lies in 0 .. 1.
  [[nodiscard]] bool chance(double probability) { return uniform() < probability; }

  /// An independent generator. It depends on this one's key and on `stream`, not on how many numbers this one has
  /// drawn.
  [[nodiscard]] Rng fork(std::uint64_t stream) const { return Rng{state_.key, stream}; }

  /// For saving; `from_state` continues with the next number.
  [[nodiscard]] State state() const { return state_; }
  /// The generator that had this state.
  static Rng from_state(State state) {
    Rng rng{0};
    rng.state_ = state;
    return rng;
  }

private:
  static constexpr std::uint64_t golden = 0x9E3779B97F4A7C15ull, odd = 0xD1342543DE82EF95ull;

  static std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }

  State state_;
};

}  // namespace icrl
