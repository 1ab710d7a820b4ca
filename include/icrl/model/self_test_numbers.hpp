// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <icrl/core/checksum.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/model/self_test_report.hpp>

// What has to be right to the last bit: rounding to bfloat16, random numbers, checksums. As in self_test_kernels.hpp,
// a check is handed what it checks.
namespace icrl::detail {

/// As `round_row` takes them.
using RoundFunction = FunctionRef<void(const float* from, Index size, Bf16Pair* to)>;

/// The nearest number with 8 significant bits, ties to even, of a number in the range of a float.
inline double plain_bfloat16(double x) {
  int exponent;
  const double mantissa = std::frexp(x, &exponent) * 256, below = std::floor(mantissa), rest = mantissa - below;
  const bool up = rest > 0.5 || (rest == 0.5 && std::fmod(below, 2) != 0);
  return std::ldexp(up ? below + 1 : below, exponent - 8);
}

inline void check_rounding(RoundFunction round_row) {
  constexpr const char* part = "rounding to bfloat16";
  Rng rng{21};
  const float inf = std::numeric_limits<float>::infinity(), most = std::numeric_limits<float>::max();
  for (const Index count : {1, 16, 31, 32, 77}) {
    const Index size = opaque(count);
    Guarded<float> x{size};
    Guarded<Bf16Pair> pairs{pair_count(size)};
    for (Index i = 0; i < size; ++i) {
      // Every eighth one lies in the middle between two.
      const double fine = 1 + rng.uniform(), tie = 1 + (2 * rng.below(128) + 1) / 256.0;
      x[i] = static_cast<float>((i % 3 == 1 ? -1 : 1) * std::ldexp(i % 8 == 0 ? tie : fine, rng.below(40) - 20));
    }
    round_row(x.data(), size, pairs.data());
    for (Index i = 0; i < size; ++i) {
      check_near(part, half_of(pairs[i / 2], i % 2), plain_bfloat16(static_cast<double>(x[i])), 0,
                 [&] { return fmt::format("what becomes of {}, number {} of {},", x[i], i, size); });
    }
    if (size % 2 != 0)
      check_equal(part, pairs[size / 2] >> 16, 0, [&] { return fmt::format("what follows a row of {}", size); });
    pairs.check_margins(part, [&] { return fmt::format("a row of {}", size); });
  }
  for (const Index at : {0, 40}) {  // in a packet and in the tail
    const float special[] = {opaque(inf), opaque(-inf), opaque(most), opaque(-0.0f)};
    const std::uint32_t expected[] = {0x7f80, 0xff80, 0x7f80, 0x8000};
    std::vector<float> row(45);
    std::copy_n(special, 4, row.begin() + at);
    row[static_cast<std::size_t>(at) + 4] = opaque(std::numeric_limits<float>::quiet_NaN());
    std::vector<Bf16Pair> pairs(23);
    round_row(row.data(), 45, pairs.data());
    const auto half = [&](Index i) { return pairs[static_cast<std::size_t>(i) / 2] >> (i % 2 * 16) & 0xffff; };
    for (Index i = 0; i < 4; ++i)
      check_equal(part, half(at + i), expected[i], [&] { return fmt::format("what becomes of {}", special[i]); });
    if ((half(at + 4) & 0x7f80) != 0x7f80 || (half(at + 4) & 0x7f) == 0)
      self_test_failed(part, fmt::format("NaN becomes {:#x}", half(at + 4)));
  }
}

/// Makes a generator of a seed and a stream.
using RngFunction = FunctionRef<Rng(std::uint64_t seed, std::uint64_t stream)>;

inline void check_random(RngFunction make) {
  constexpr const char* part = "random numbers";
  const auto place = [](const char* what) { return [what] { return std::string{what}; }; };
  Rng rng = make(opaque(std::uint64_t{2026}), opaque(std::uint64_t{3}));
  for (const std::uint64_t bits : {0xee45cfd743c6d194u, 0xff5240b641fe6d64u, 0x58ce4bcfcda52d37u})
    check_equal(part, rng.bits(), bits, place("64 bits of the seed 2026 and the stream 3"));
  check_near(part, rng.uniform(), 0x1.37f2629586930p-3, 0, place("the uniform number after them"));
  check_equal(part, static_cast<std::uint64_t>(rng.below(opaque(1000))), 659, place("the number below 1000 then"));
  check_equal(part, static_cast<std::uint64_t>(rng.below(opaque(2000000011))), 1009705872,
              place("the number below 2000000011 then"));
  check_near(part, rng.normal(), -0.044836200384381984, 1e-14, place("the normal number then"));
  check_equal(part, rng.fork(opaque(std::uint64_t{9})).bits(), 0x65aed275acf5fa78u, place("64 bits of a fork"));
}

/// As `crc32c` takes them.
using ChecksumFunction = FunctionRef<std::uint32_t(std::span<const std::byte> bytes, std::uint32_t previous)>;

inline void check_checksum(ChecksumFunction checksum) {
  constexpr const char* part = "checksums";
  std::vector<std::byte> digits, counted;
  for (const char c : {'1', '2', '3', '4', '5', '6', '7', '8', '9'})
    digits.push_back(static_cast<std::byte>(opaque(c)));
  for (int i = 0; i < 32; ++i) counted.push_back(static_cast<std::byte>(i));
  check_equal(part, checksum(digits, 0), 0xe3069283, [] { return std::string{"CRC-32C of 123456789"}; });
  check_equal(part, checksum(counted, 0), 0x46dd794e, [] { return std::string{"CRC-32C of the bytes 0 .. 31"}; });

  // Every entry of every table, and any length of tail, bit by bit.
  Rng rng{22};
  std::vector<std::byte> bytes;
  for (int i = 0; i < 4096; ++i) bytes.push_back(static_cast<std::byte>(rng.bits() >> 56));
  std::uint32_t value = 0, expected = 0xffffffff;
  std::size_t begin = 0;
  for (std::size_t length = 1; begin < bytes.size(); length = length < 9 ? length + 1 : bytes.size() - begin) {
    value = checksum(std::span{bytes}.subspan(begin, length), value);
    for (std::size_t i = begin; i < begin + length; ++i) {
      expected ^= static_cast<std::uint32_t>(bytes[i]);
      for (int bit = 0; bit < 8; ++bit) expected = expected & 1u ? expected >> 1 ^ 0x82f63b78u : expected >> 1;
    }
    begin += length;
    check_equal(part, value, expected ^ 0xffffffff, [&] { return fmt::format("CRC-32C of {} bytes", begin); });
  }
}

}  // namespace icrl::detail
