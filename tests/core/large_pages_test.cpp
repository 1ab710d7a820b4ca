// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/core/large_pages.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
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
  constexpr std::size_t thread_count = 4, each = 400;
  std::vector<std::shared_ptr<std::uint32_t[]>> arrays(thread_count * each);
  const auto size_of = [](std::size_t i) { return 12000 + i * 997 % 20000; };
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < thread_count; ++thread) {
    threads.emplace_back([&arrays, &size_of, thread] {
      for (std::size_t i = thread * each; i < (thread + 1) * each; ++i)
        arrays[i] = detail::share_large_pages<std::uint32_t>(size_of(i));
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

TEST_CASE("A block that is shared holds its arrays, not at the same place of a page, and is given back with the last",
          "[core]") {
  using Part = std::shared_ptr<std::byte>;
  constexpr std::size_t block_bytes = 4 * large_page_bytes;
  // The second would just fit into the first one's block, but for the gap behind it.
  const auto size_of = [](std::size_t i) {
    return i < 2 ? block_bytes / 2 - 64 : i % 2 == 0 ? std::size_t{4096} : 300000 - 64 * i;
  };
  std::weak_ptr<std::byte> first_block, last_block;
  {
    std::vector<Part> parts;
    for (std::size_t i = 0; i < 400; ++i) parts.push_back(detail::share_block(size_of(i)));
    first_block = parts.front();
    last_block = parts.back();
    std::map<Part, std::vector<std::size_t>, std::owner_less<>> blocks;
    for (std::size_t i = 0; i < parts.size(); ++i) blocks[parts[i]].push_back(i);
    CHECK(blocks.size() < 20);
    for (const auto& [owner, members] : blocks) {
      for (const std::size_t i : members) {
        CAPTURE(i);
        const std::ptrdiff_t begin = parts[i].get() - parts[members.front()].get();
        CHECK(begin >= 0);
        CHECK(begin + static_cast<std::ptrdiff_t>(size_of(i)) <= static_cast<std::ptrdiff_t>(block_bytes));
      }
    }
  }
  CHECK(first_block.expired());
  CHECK(last_block.expired());

  for (const std::size_t bytes : {8u, 3968u, 4000u, 4032u, 4096u, 8192u, 12160u}) {
    const Part one = detail::share_block(bytes), other = detail::share_block(bytes);
    const auto place = [](const Part& part) { return reinterpret_cast<std::uintptr_t>(part.get()) % 4096; };
    CAPTURE(bytes);
    CHECK(place(one) != place(other));
  }
}

TEST_CASE("An array stays when others of its block go", "[core]") {
  constexpr std::size_t count = 20000;
  auto first = detail::share_large_pages<float>(count), second = detail::share_large_pages<float>(count);
  std::fill_n(second.get(), count, 3.0f);
  first.reset();
  const auto third = detail::share_large_pages<float>(count);
  std::fill_n(third.get(), count, 4.0f);
  CHECK(std::all_of(second.get(), second.get() + count, [](float x) { return x == 3; }));
  CHECK_THROWS_AS(detail::share_large_pages<float>(std::numeric_limits<std::size_t>::max()), std::bad_alloc);
}

namespace {

/// Makes an array when the program ends, later than all that began after it.
struct AtTheEnd {
  AtTheEnd() = default;
  AtTheEnd(const AtTheEnd&) = delete;
  AtTheEnd& operator=(const AtTheEnd&) = delete;
  ~AtTheEnd() { *detail::share_block(1000) = std::byte{1}; }
} at_the_end;

}  // namespace
