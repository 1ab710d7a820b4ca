// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/core/large_pages.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <thread>
#include <vector>

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

TEST_CASE("Arrays that share large pages do not overlap, whoever asks for them", "[core]") {
  constexpr std::size_t thread_count = 4, each = 4000;
  std::vector<std::shared_ptr<std::uint32_t[]>> arrays(thread_count * each);
  const auto size_of = [](std::size_t i) { return 1 + i * 997 % 2000; };
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < thread_count; ++thread) {
    threads.emplace_back([&arrays, &size_of, thread] {
      for (std::size_t i = thread * each; i < (thread + 1) * each; ++i)
        arrays[i] = share_large_pages<std::uint32_t>(size_of(i));
      for (std::size_t i = thread * each; i < (thread + 1) * each; ++i)
        std::fill_n(arrays[i].get(), size_of(i), static_cast<std::uint32_t>(i));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    CAPTURE(i);
    REQUIRE(reinterpret_cast<std::uintptr_t>(arrays[i].get()) % 64 == 0);
    REQUIRE(std::count(arrays[i].get(), arrays[i].get() + size_of(i), i) == static_cast<std::ptrdiff_t>(size_of(i)));
  }
}

TEST_CASE("Pages that are shared live as long as their last array", "[core]") {
  auto first = share_large_pages<float>(1000), second = share_large_pages<float>(1000);
  std::fill_n(second.get(), 1000, 3.0f);
  first.reset();
  const auto third = share_large_pages<float>(1000);
  std::fill_n(third.get(), 1000, 4.0f);
  CHECK(std::all_of(second.get(), second.get() + 1000, [](float x) { return x == 3; }));
  CHECK_THROWS_AS(share_large_pages<float>(std::numeric_limits<std::size_t>::max()), std::bad_alloc);
}
