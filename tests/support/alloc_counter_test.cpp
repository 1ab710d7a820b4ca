// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT

#include "support/alloc_counter.hpp"

#include <cstdlib>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include <icrl/math/matrix.hpp>

#include "support/catch.hpp"

namespace icrl::test {
namespace {

/// Allocations that `work` makes. What it returns escapes through a volatile, or the compiler could leave it out.
template <typename Work>
std::int64_t allocations_of(Work work) {
  const AllocationCount allocations;
  const auto made = work();
  [[maybe_unused]] const void* const volatile escape = &made;
  return allocations.count();
}

TEST_CASE("every way to the heap is counted", "[support]") {
  SKIP_UNLESS_AVAILABLE(AllocationCount);
  struct alignas(64) Line {
    char bytes[64];
  };

  CHECK(allocations_of([] { return 1; }) == 0);
  CHECK(allocations_of([] { return std::vector<int>(100); }) == 1);
  CHECK(allocations_of([] { return std::make_unique<Line>(); }) == 1);
  CHECK(allocations_of([] { return std::unique_ptr<void, void (*)(void*)>{std::calloc(3, 5), std::free}; }) == 1);
  CHECK(allocations_of([] { return std::unique_ptr<void, void (*)(void*)>{std::malloc(5), std::free}; }) == 1);
  CHECK(allocations_of([] {
          return std::unique_ptr<void, void (*)(void*)>{std::aligned_alloc(64, 64), std::free};
        }) == 1);
  CHECK(allocations_of([] { return Matrix<double>{3, 4}; }) == 1);
}

TEST_CASE("a block that grows is counted again", "[support]") {
  SKIP_UNLESS_AVAILABLE(AllocationCount);
  const AllocationCount allocations;

  void* volatile block = std::malloc(8);
  block = std::realloc(block, 800);

  CHECK(allocations.count() == 2);
  std::free(block);
}

TEST_CASE("what other threads allocate is counted", "[support]") {
  SKIP_UNLESS_AVAILABLE(AllocationCount);
  const auto allocations_of_thread = [](std::size_t block_count) {
    const AllocationCount allocations;
    std::thread{[&] {
      for (std::size_t i = 0; i < block_count; ++i) {
        void* volatile block = std::malloc(8);
        std::free(block);
      }
    }}.join();
    return allocations.count();
  };
  (void)allocations_of_thread(0);  // the first thread has some of its own to make

  CHECK(allocations_of_thread(5) == allocations_of_thread(0) + 5);
}

}  // namespace
}  // namespace icrl::test
