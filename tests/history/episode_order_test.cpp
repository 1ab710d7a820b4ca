// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/history/episode_order.hpp>

#include <cmath>
#include <cstddef>
#include <set>
#include <vector>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("A shuffled order holds every place once", "[history]") {
  for (const int count : {1, 2, 3, 7, 64, 65, 200, 1000}) {
    std::set<int> places;
    for (int i = 0; i < count; ++i) places.insert(detail::shuffled_place(i, count, 42));

    CHECK(static_cast<int>(places.size()) == count);
    CHECK(*places.begin() == 0);
    CHECK(*places.rbegin() == count - 1);
  }
}

TEST_CASE("Each index comes to each place equally often", "[history]") {
  constexpr int count = 5, keys = 20000;
  std::vector<int> hits(count * count);
  for (int key = 0; key < keys; ++key)
    for (int i = 0; i < count; ++i)
      ++hits[static_cast<std::size_t>(i * count + detail::shuffled_place(i, count, 977 * static_cast<unsigned>(key)))];

  for (const int hit : hits) CHECK(std::abs(hit - keys / count) < 350);  // six standard deviations
}
