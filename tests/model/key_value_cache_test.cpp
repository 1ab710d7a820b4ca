// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/key_value_cache.hpp>

#include <algorithm>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace icrl;

namespace {

const TransformerConfig small{.width = 16, .layer_count = 2, .head_count = 2, .context = 20};
const TransformerConfig large{.width = 16, .layer_count = 3, .head_count = 2, .context = 40};

bool holds_only(const KeyValueCache<float>& cache, float number) {
  return std::ranges::all_of(cache.storage(), [number](float n) { return n == number; });
}

}  // namespace

TEST_CASE("Caches side by side are empty, do not overlap, and each outlives the others", "[model]") {
  auto caches = KeyValueCache<float>::side_by_side(small, 3);
  REQUIRE(caches.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(caches[i].length() == 0);
    CHECK(holds_only(caches[i], 0));
    CHECK(caches[i].storage().size() == KeyValueCache<float>{small}.storage().size());
    std::ranges::fill(caches[i].storage(), static_cast<float>(i + 1));
  }
  for (std::size_t i = 0; i < 3; ++i) CHECK(holds_only(caches[i], static_cast<float>(i + 1)));
  KeyValueCache<float> kept = std::move(caches[1]);
  caches.clear();
  CHECK(holds_only(kept, 2));
}

TEST_CASE("A copied cache has numbers of its own, and those of one size stay where they are", "[model]") {
  KeyValueCache<float> one{small}, other{small};
  std::ranges::fill(one.storage(), 1.0f);
  one.set_length(7);

  KeyValueCache<float> copy{one};
  CHECK(copy.length() == 7);
  CHECK(holds_only(copy, 1));
  std::ranges::fill(copy.storage(), 2.0f);
  CHECK(holds_only(one, 1));

  const float* const place = other.storage().data();
  other = one;
  CHECK(other.length() == 7);
  CHECK(holds_only(other, 1));
  CHECK(other.storage().data() == place);

  const KeyValueCache<float> taken = std::move(copy);
  CHECK(holds_only(taken, 2));
  CHECK(copy.storage().empty());
  CHECK(KeyValueCache<float>{copy}.storage().empty());
  copy = one;
  CHECK(holds_only(copy, 1));

  KeyValueCache<float> another{large};
  another = one;
  CHECK(another.storage().size() == one.storage().size());
  CHECK(another.layer(1).values == another.storage().data() + another.storage().size() - 16 * 32);
  std::ranges::fill(another.storage(), 3.0f);
  CHECK(holds_only(one, 1));
}
