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
  if (!AllocationCount::is_available()) return;
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

TEST_CASE("a growing block is counted, and so are other threads", "[support]") {
  if (!AllocationCount::is_available()) return;
  const AllocationCount allocations;

  void* block = std::realloc(std::malloc(8), 800);
  std::free(block);
  std::thread{[] { std::vector<int> other(100); }}.join();

  CHECK(allocations.count() >= 3);
}

}  // namespace
}  // namespace icrl::test
