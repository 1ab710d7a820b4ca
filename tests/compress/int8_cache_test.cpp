// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/int8_cache.hpp>

#include <cstring>
#include <vector>

#include <icrl/core/rng.hpp>
#include <icrl/model/concepts.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using icrl::test::error_of;

static_assert(StreamState<Int8Cache>);

namespace {

const TransformerConfig& cached_config() {
  static const TransformerConfig config{
      .width = 15, .layer_count = 2, .head_count = 3, .context = 21, .layer_heads = {3, 2}};
  return config;
}

/// Random keys and values of `count` tokens in all heads.
void fill_cache(Int8Cache& cache, int count, Rng& rng) {
  for (int t = 0; t < count; ++t) {
    for (Index layer = 0; layer < 2; ++layer) {
      for (Index h = 0; h < 3 - layer; ++h) {
        std::vector<std::int8_t> key(8), value(5);
        for (std::size_t c = 0; c < 5; ++c) {
          key[c] = static_cast<std::int8_t>(rng.below(255) - 127);
          value[c] = static_cast<std::int8_t>(rng.below(255) - 127);
        }
        Int8Cache::put(detail::ScalarInt8{}, cache.head(layer, h), cache.token_count(), key.data(),
                       static_cast<float>(rng.uniform()), value.data(), static_cast<float>(rng.uniform()));
      }
    }
    cache.add_token();
  }
}

std::vector<std::byte> saved(const Int8Cache& cache) {
  ByteWriter out;
  cache.save(out);
  return {out.bytes().begin(), out.bytes().end()};
}

}  // namespace

TEST_CASE("Keys and values lie where kernels look for them", "[compress]") {
  Int8Cache cache{cached_config()};
  const detail::Int8Head head = cache.head(1, 1);
  const std::vector<std::int8_t> key{1, 2, 3, 4, 5, 0, 0, 0};
  const std::vector<std::int8_t> value{-1, -2, -3, -4, -5};

  Int8Cache::put(detail::ScalarInt8{}, head, 17, key.data(), 0.5f, value.data(), 0.25f);

  CHECK(head.size == 5);
  CHECK(head.keys[128 + 4] == 129);       // second block of 16 tokens, first word, token 1
  CHECK(head.keys[128 + 64 + 4] == 133);  // second word
  CHECK(head.keys[128 + 64 + 5] == 128);  // beyond the head's size
  CHECK(head.values[4 * 64 + 1] == -1);   // word 4 of tokens, number 0, token 1
  CHECK(head.values[4 * 64 + 17] == -5);  // number 4
  CHECK(head.key_scales[17] == 0.5f);
  CHECK(head.value_scales[17] == 0.25f);
}

TEST_CASE("A new token leaves those before it alone and clears those behind", "[compress]") {
  Int8Cache cache{cached_config()};
  const detail::Int8Head head = cache.head(0, 0);
  const std::vector<std::int8_t> key(8);
  for (int round = 0; round < 2; ++round) {
    for (Index t = 0; t < 4; ++t) {
      const std::vector<std::int8_t> value(5, static_cast<std::int8_t>(10 * round - t - 1));
      Int8Cache::put(detail::ScalarInt8{}, head, t, key.data(), 1, value.data(), 1);
      for (Index k = 0; k < 4; ++k) CHECK(head.values[8 + k] == (k <= t ? 10 * round - k - 1 : 0));
    }
  }
}

TEST_CASE("A saved cache comes back, and heads of all layers are their own", "[compress]") {
  Rng rng{1};
  for (const int count : {0, 1, 20, 21}) {
    std::vector<Int8Cache> caches = Int8Cache::side_by_side(cached_config(), 3);
    fill_cache(caches[1], count, rng);
    const std::vector<std::byte> bytes = saved(caches[1]);
    fill_cache(caches[0], 21, rng);
    fill_cache(caches[2], 21, rng);
    CHECK(saved(caches[1]) == bytes);

    ByteReader in{bytes, "memory"};
    caches[2].restore(in);

    CHECK(caches[2].length() == count);
    CHECK(saved(caches[2]) == bytes);
    const Int8Cache copy = caches[2];
    caches[2].clear();
    CHECK(caches[2].length() == 0);
    CHECK(saved(copy) == bytes);
  }
}

TEST_CASE("A cache refuses what no step has written", "[compress]") {
  Rng rng{2};
  Int8Cache cache{cached_config()};
  fill_cache(cache, 3, rng);
  const auto error_with = [&](std::size_t place, auto value) {
    std::vector<std::byte> bytes = saved(cache);
    std::memcpy(bytes.data() + place, &value, sizeof value);
    ByteReader in{bytes, "memory"};
    return error_of([&] { Int8Cache{cached_config()}.restore(in); });
  };

  CHECK(error_with(0, 22) == "memory: length of a context is 22, it must lie in 0 .. 21");
  CHECK(error_with(0, 4).starts_with("memory: ends"));
  CHECK(error_with(4, std::int8_t{-128}) == "memory: a code of token 0 is -128, outside -127 .. 127");
  CHECK(error_with(4 + 9, std::int8_t{-128}) == "memory: a code of token 0 is -128, outside -127 .. 127");
  CHECK(error_with(4 + 10, -1.0f) ==
        "memory: the scale of token 0's keys or values is -1, it must be finite and not negative");
  CHECK(error_with(4 + 14, 1.0f / 0.0f) ==
        "memory: the scale of token 0's keys or values is inf, it must be finite and not negative");
  CHECK(error_with(4 + 5 * 18, std::int8_t{-128}) == "memory: a code of token 1 is -128, outside -127 .. 127");
}
