// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

// Counts what is allocated, beneath operator new and beneath Eigen. Defines malloc, so only one file of a test binary
// includes it. Where the count cannot be had (no glibc, or a sanitizer that needs malloc for itself) it stays 0.

#include <atomic>
#include <cstddef>
#include <cstdlib>

namespace icrl::test {

inline std::atomic<long> allocation_count{0};

}  // namespace icrl::test

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define ICRL_TEST_LEAVE_MALLOC
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define ICRL_TEST_LEAVE_MALLOC
#endif

#ifndef ICRL_TEST_LEAVE_MALLOC
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) noexcept {
  ++icrl::test::allocation_count;
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) noexcept {
  ++icrl::test::allocation_count;
  return __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) noexcept {
  ++icrl::test::allocation_count;
  return __libc_realloc(memory, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  ++icrl::test::allocation_count;
  return __libc_memalign(alignment, size);
}
}
#endif
#undef ICRL_TEST_LEAVE_MALLOC
