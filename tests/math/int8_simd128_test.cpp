// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/math/int8_simd128.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <icrl/core/rng.hpp>
#include <icrl/math/cpu_level.hpp>
#include <icrl/math/int8_neon.hpp>
#include <icrl/math/int8_wasm.hpp>

#include "support/catch.hpp"
#include "support/plain_int8_products.hpp"

using namespace icrl;
using namespace icrl::detail;

namespace {

/// Calls `call(products)` with those of every level that this CPU has.
template <typename Call>
void for_all_products(Call&& call) {
  call(icrl::test::PlainInt8Products{});
#if defined(__aarch64__)
  call(NeonProducts{});
  if (is_available(CpuLevel::neon_dot)) call(NeonDotProducts{});
#elif defined(__wasm_simd128__)
  call(WasmProducts{});
#endif
}

/// Codes that are often the largest or the smallest ones.
std::int8_t random_code(Rng& rng) {
  const int kind = rng.below(4);
  return static_cast<std::int8_t>(kind == 0 ? 127 : kind == 1 ? -127 : rng.below(255) - 127);
}

}  // namespace

TEST_CASE("Words of codes are multiplied and summed in 32 bits, the largest ones too", "[math]") {
  for_all_products([](auto products) {
    using Products = decltype(products);
    Rng rng{1};
    for (int round = 0; round < 200; ++round) {
      typename Products::Sum sum{};
      std::int32_t expected[4] = {};
      for (int step = 0; step < 300; ++step) {
        std::int8_t codes[16], by[4];
        for (std::int8_t& code : codes) code = random_code(rng);
        for (std::int8_t& code : by) code = random_code(rng);
        if (round % 4 == 0) by[0] = by[2] = -128;  // what a key that was never written has
        for (std::size_t i = 0; i < 16; ++i) expected[i / 4] += codes[i] * by[i % 4];
        Products::add(sum, load_bits<UInt8x16>(codes), Products::factor(load_bits<std::uint32_t>(by)));
      }
      const Int32x4 total = Products::total(sum);
      for (std::size_t i = 0; i < 4; ++i) CHECK(total[i] == expected[i]);
    }
  });
}

TEST_CASE("Values are weighted by every number up to 32767", "[math]") {
  for_all_products([](auto products) {
    using Products = decltype(products);
    Rng rng{2};
    for (int first = 0; first < 32768; first += 16) {
      std::uint16_t numbers[16];
      for (std::size_t i = 0; i < 16; ++i) numbers[i] = static_cast<std::uint16_t>(first + static_cast<int>(i));
      std::uint8_t weights[32];
      Products::store_weights(load_bits<UInt16x8>(numbers), load_bits<UInt16x8>(numbers + 8), weights);
      std::int8_t values[16];
      for (std::int8_t& value : values) value = random_code(rng);
      for (Index group = 0; group < 4; ++group) {
        typename Products::WeightedSum sum{};
        for (int twice = 0; twice < 2; ++twice)
          Products::add_weighted(sum, load_bits<UInt8x16>(values), Products::weights(weights, group));
        const Int32x4 total = Products::total(sum);
        for (std::size_t i = 0; i < 4; ++i) {
          int expected = 0;
          for (std::size_t t = 0; t < 4; ++t)
            expected += 2 * values[4 * i + t] * (first + 4 * static_cast<int>(group) + static_cast<int>(t));
          CHECK(total[i] == expected);
        }
      }
    }
  });
}

TEST_CASE("Bytes and halves are taken in order", "[math]") {
  const UInt32x4 low{0x04030201u, 0x08070605u, 0x0c0b0a09u, 0x100f0e0du};
  const UInt32x4 high = low + 0x10101010u;

  const UInt16x8 halves = low_halves(low, high);
  const UInt8x16 bytes = low_bytes(halves, halves), upper = high_bytes(halves, halves);

  for (std::size_t i = 0; i < 8; ++i) {
    CHECK(halves[i] == (i < 4 ? 0x0201 + 0x0404 * i : 0x1211 + 0x0404 * (i - 4)));
    CHECK(bytes[i] == (halves[i] & 0xff));
    CHECK(bytes[i + 8] == bytes[i]);
    CHECK(upper[i] == halves[i] >> 8);
  }
}
