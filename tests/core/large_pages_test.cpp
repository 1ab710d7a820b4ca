// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/core/large_pages.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>

#include "support/catch.hpp"

using namespace icrl;

TEMPLATE_TEST_CASE("Large pages begin where pages do and are all zero, also where they lay before", "[core]", float,
                   double) {
  constexpr std::size_t large_page = std::size_t{1} << 21;
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{8}, large_page - 8, large_page, 2 * large_page + 4096}) {
    for (int round = 0; round < 2; ++round) {
      const std::size_t count = bytes / sizeof(TestType);
      const auto numbers = zeros_in_large_pages<TestType>(count);
      CHECK(reinterpret_cast<std::uintptr_t>(numbers.get()) % (bytes < large_page ? 64 : large_page) == 0);
      CHECK(std::all_of(numbers.get(), numbers.get() + count, [](TestType number) { return number == 0; }));
      std::fill_n(numbers.get(), count, TestType(7));
    }
  }
}

TEST_CASE("More large pages than an address can tell of are no memory", "[core]") {
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  CHECK_THROWS_AS(zeros_in_large_pages<float>(most), std::bad_alloc);
  CHECK_THROWS_AS(zeros_in_large_pages<float>(most / 4 + 2, 2), std::bad_alloc);
  CHECK(zeros_in_large_pages<float>(most, 0) != nullptr);
}
