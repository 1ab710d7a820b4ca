// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include <icrl/core/target.hpp>

namespace icrl::detail {

/// The first part of the program that `write_cpp` writes: numbers, kernels, random numbers. C++17 without a library
/// function; the operations of exact_float.hpp, exact_rotary.hpp, int8_scalar.hpp and rng.hpp in the same order.
inline constexpr std::string_view cpp_kernels_text = R"icrl(
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || \
    defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__)
#error "-ffast-math and its parts change the results: leave them out for every file that includes this header"
#elif defined(__FLT_EVAL_METHOD__) && (__FLT_EVAL_METHOD__ == 1 || __FLT_EVAL_METHOD__ == 2)
#error "sums of float and double are needed in their own precision: on x86 compile with -msse2 -mfpmath=sse"
#endif
static_assert(sizeof(double) == 8 && sizeof(1.0) == 8,
              "double and numbers such as 1.0 need 64 bits: leave out -fsingle-precision-constant and its like");

namespace detail {

// ---- numbers: +, -, * and / in a fixed order, and nothing else, have the same bits everywhere ----

/// Hides how a number came about, so that no compiler fuses a product with the sum that it goes into.
inline float hidden(float value) {
#if defined(__x86_64__)
  asm("" : "+x"(value));
#elif defined(__aarch64__)
  asm("" : "+w"(value));
#elif defined(__arm__) && defined(__ARM_FP) && (__ARM_FP & 4)
  asm("" : "+t"(value));
#elif defined(__GNUC__)
  asm("" : "+m"(value));
#else
  volatile float kept = value;
  value = kept;
#endif
  return value;
}
inline double hidden(double value) {
#if defined(__x86_64__)
  asm("" : "+x"(value));
#elif defined(__aarch64__)
  asm("" : "+w"(value));
#elif defined(__GNUC__)
  asm("" : "+m"(value));
#else
  volatile double kept = value;
  value = kept;
#endif
  return value;
}
inline float exact_product(float a, float b) { return hidden(a * b); }
inline double exact_product(double a, double b) { return hidden(a * b); }

inline std::uint32_t bits_of(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}
inline float float_of(std::uint32_t bits) {
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
inline double power_of_two(std::int32_t exponent) {
  const std::uint64_t bits = static_cast<std::uint64_t>(1023 + exponent) << 52;
  double value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
inline bool is_finite(float value) { return (bits_of(value) & 0x7f800000u) != 0x7f800000u; }

/// A number in half precision, which is finite.
inline float from_half(std::uint16_t half) {
  const std::uint32_t magnitude = half & 0x7fffu;
  const float value = magnitude < 0x400u ? static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-24f
                                         : float_of((magnitude << 13) + (112u << 23));
  return half == magnitude ? value : -value;
}

constexpr float rounding_shift = 12582912.0f;

/// The nearest whole number, ties to even, of |value| < 2^22.
inline std::int32_t exact_round(float value) {
  return static_cast<std::int32_t>(bits_of(value + rounding_shift) - bits_of(rounding_shift));
}

/// The square root of a positive number that is neither subnormal nor infinite, to the nearest.
inline float exact_root(float x) {
  std::int32_t exponent = static_cast<std::int32_t>(bits_of(x) >> 23) - 127;
  std::uint32_t mantissa = (bits_of(x) & 0x7fffffu) | 0x800000u;
  if (exponent % 2 != 0) {
    mantissa <<= 1;
    --exponent;
  }
  const std::uint64_t square = static_cast<std::uint64_t>(mantissa) << 25;
  std::uint32_t root = 0;  // of `square`, rounded down; its last bit rounds the result
  for (std::uint32_t bit = 1u << 24; bit != 0; bit >>= 1) {
    const std::uint64_t next = root | bit;
    if (next * next <= square) root |= bit;
  }
  root = (root + 1) >> 1;
  return float_of((static_cast<std::uint32_t>(exponent / 2 + 127) << 23) + (root - 0x800000u));
}

inline float exact_exp2(float x) {
  x = -126.0f > x ? -126.0f : x;
  x = 126.0f < x ? 126.0f : x;
  const float shifted = hidden(x + rounding_shift), n = shifted - rounding_shift, r = x - n;
  float p = exact_product(0.00132647285f, r) + 0.00967151392f;
  p = exact_product(p, r) + 0.0555073358f;
  p = exact_product(p, r) + 0.240222424f;
  p = exact_product(p, r) + 0.693147004f;
  p = exact_product(p, r) + 1.0f;
  return float_of(bits_of(p) + (bits_of(shifted) << 23));
}

/// For x <= 0; 0 below -1000.
inline double exact_exp2(double x) {
  if (x < -1000) return 0;
  x = hidden(x);
  const double shifted = x + 0.5;
  auto whole = static_cast<std::int32_t>(shifted);
  if (static_cast<double>(whole) > shifted) --whole;
  const double y = exact_product(x - static_cast<double>(whole), 0.69314718055994530942);
  double power = 1;
  for (std::int32_t i = 18; i > 0; --i) power = 1 + exact_product(power, y / static_cast<double>(i));
  return exact_product(power, power_of_two(whole));
}

inline float exact_gelu(float x) {
  return x / (1.0f + exact_exp2(exact_product(x, -2.3022082f + exact_product(-0.10294324f, x * x))));
}

// ---- kernels: sums of floats have 16 lanes, which are added along a tree ----

constexpr std::int32_t lane_count = 16;

inline float fold_lanes(float* lanes) {
  for (std::int32_t half = lane_count / 2; half > 0; half /= 2)
    for (std::int32_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

/// codes = x * 127 / max |x|, to the nearest. Returns what a code of 1 stands for: NaN for a row that is not finite.
inline float quantize(const float* x, std::int32_t size, std::int8_t* codes) {
  std::uint32_t largest = 0;
  for (std::int32_t i = 0; i < size; ++i) {
    const std::uint32_t magnitude = bits_of(x[i]) & 0x7fffffffu;
    if (magnitude > largest) largest = magnitude;
  }
  const bool is_zero = largest < bits_of(7.888609e-31f), has_codes = !is_zero && largest < 0x7f800000u;
  const float inverse = has_codes ? 127.0f / float_of(largest) : 0.0f;
  for (std::int32_t i = 0; i < size; ++i)
    codes[i] = has_codes ? static_cast<std::int8_t>(exact_round(exact_product(x[i], inverse))) : std::int8_t{0};
  return is_zero ? 0.0f : has_codes ? float_of(largest) / 127.0f : float_of(0x7fc00000u);
}

/// y = (x - mean) / stddev * gain + bias.
inline void normalize(const float* x, const std::uint16_t* gains, const std::uint16_t* biases, std::int32_t size,
                      float epsilon, float* y) {
  float sums[lane_count] = {}, squares[lane_count] = {};
  for (std::int32_t i = 0; i < size; ++i) sums[i % lane_count] += x[i];
  const float mean = fold_lanes(sums) / static_cast<float>(size);
  for (std::int32_t i = 0; i < size; ++i) {
    const float centered = x[i] - mean;
    squares[i % lane_count] += exact_product(centered, centered);
  }
  const float variance = fold_lanes(squares) / static_cast<float>(size) + epsilon;
  const float inverse = is_finite(variance) ? 1.0f / exact_root(variance) : float_of(0x7fc00000u);
  for (std::int32_t i = 0; i < size; ++i)
    y[i] = exact_product((x[i] - mean) * inverse, from_half(gains[i])) + from_half(biases[i]);
}

/// One token's attention over the first `count` tokens of a head: the values weighted by 2^(score * factor).
/// keys: (tokens, size), values: (size, tokens), scores: memory for `count` numbers.
inline void attend(const std::int8_t* keys, const float* key_scales, const std::int8_t* values,
                   const float* value_scales, std::int32_t size, std::int32_t tokens, const std::int8_t* query,
                   float factor, std::int32_t count, std::uint32_t* scores, float* mixed) {
  float largest = float_of(0xff800000u);
  for (std::int32_t t = 0; t < count; ++t) {
    std::int32_t sum = 0;
    for (std::int32_t i = 0; i < size; ++i) sum += keys[t * size + i] * query[i];
    const float score = hidden(static_cast<float>(sum) * (key_scales[t] * factor));
    if (score > largest) largest = score;
    scores[t] = bits_of(score);
  }
  float probabilities[lane_count] = {}, weights[lane_count] = {}, largest_weight = 0;
  for (std::int32_t t = 0; t < count; ++t) {
    const float probability = exact_exp2(float_of(scores[t]) - largest);
    const float weight = hidden(probability * value_scales[t]);
    probabilities[t % lane_count] += probability;
    weights[t % lane_count] += weight;
    if (weight > largest_weight) largest_weight = weight;
    scores[t] = bits_of(weight);
  }
  const float all_weights = fold_lanes(weights), all_probabilities = fold_lanes(probabilities);
  const float by_largest = 32767.0f / largest_weight, by_sum = 14680064.0f / all_weights;
  const bool is_zero = !(largest_weight >= 7.888609e-31f);
  const float to_whole = is_zero ? 0.0f : by_sum < by_largest ? by_sum : by_largest;
  const float from_whole =
      is_zero ? 0.0f / all_probabilities : 1.0f / exact_product(to_whole, all_probabilities);
  for (std::int32_t t = 0; t < count; ++t)
    scores[t] = static_cast<std::uint16_t>(exact_round(exact_product(float_of(scores[t]), to_whole)));
  for (std::int32_t c = 0; c < size; ++c) {
    std::uint32_t sum = 0;  // unsigned: weights of NaN may wrap around
    for (std::int32_t t = 0; t < count; ++t)
      sum += static_cast<std::uint32_t>(std::int32_t{values[c * tokens + t]}) * scores[t];
    mixed[c] = static_cast<float>(static_cast<std::int32_t>(sum)) * from_whole;
  }
}

}  // namespace detail

/// Random numbers of a seed and a stream, the same ones as those of icrl::Rng.
class Rng {
public:
  explicit Rng(std::uint64_t seed, std::uint64_t stream = 0)
      : key_{mix(mix(seed + golden) ^ (stream * 0xD1342543DE82EF95u + golden))} {}

  /// Uniform in [0, 1).
  double uniform() {
    return static_cast<double>(mix(key_ + golden * ++counter_) >> 11) * 0x1p-53;
  }

private:
  static constexpr std::uint64_t golden = 0x9E3779B97F4A7C15u;

  static std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

  std::uint64_t key_, counter_ = 0;
};
)icrl";

}  // namespace icrl::detail
