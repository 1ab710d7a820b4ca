// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT

#include "support/alloc_counter.hpp"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define ICRL_TEST_LEAVE_MALLOC
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define ICRL_TEST_LEAVE_MALLOC
#endif

namespace {

std::atomic<std::int64_t> allocations{0};                   // needs no constructor: malloc is called before those run
thread_local constinit std::int64_t allocations_left = -1;  // negative: any number

/// Counts an allocation; false where it is to fail.
[[maybe_unused]] bool may_allocate() {
  ++allocations;
  if (allocations_left < 0) return true;
  if (allocations_left == 0) return false;
  --allocations_left;
  return true;
}

}  // namespace

std::int64_t icrl::test::AllocationCount::total() { return allocations.load(); }

icrl::test::AllocationLimit::AllocationLimit(std::int64_t count) { allocations_left = count; }
icrl::test::AllocationLimit::~AllocationLimit() { allocations_left = -1; }

#ifdef ICRL_TEST_LEAVE_MALLOC

bool icrl::test::AllocationCount::is_available() { return false; }

#else

bool icrl::test::AllocationCount::is_available() { return true; }

// A program's own malloc takes the place of the C library's, whose real one stays reachable by these names.
extern "C" {
void* __libc_malloc(std::size_t size);                           // NOLINT(bugprone-reserved-identifier)
void* __libc_calloc(std::size_t count, std::size_t size);        // NOLINT(bugprone-reserved-identifier)
void* __libc_realloc(void* memory, std::size_t size);            // NOLINT(bugprone-reserved-identifier)
void* __libc_memalign(std::size_t alignment, std::size_t size);  // NOLINT(bugprone-reserved-identifier)

void* malloc(std::size_t size) noexcept {
  if (!may_allocate()) return nullptr;
  return __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) noexcept {
  if (!may_allocate()) return nullptr;
  return __libc_calloc(count, size);
}

void* realloc(void* memory, std::size_t size) noexcept {
  if (!may_allocate()) return nullptr;
  return __libc_realloc(memory, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  if (!may_allocate()) return nullptr;
  return __libc_memalign(alignment, size);
}

void* memalign(std::size_t alignment, std::size_t size) noexcept {
  if (!may_allocate()) return nullptr;
  return __libc_memalign(alignment, size);
}

int posix_memalign(void** memory, std::size_t alignment, std::size_t size) noexcept {
  if (!may_allocate()) return ENOMEM;
  void* const block = __libc_memalign(alignment, size);
  if (block == nullptr) return ENOMEM;
  *memory = block;
  return 0;
}
}

#endif
