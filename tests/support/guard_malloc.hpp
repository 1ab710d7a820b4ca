// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

// For the one source file of a program: every block of malloc, and so of operator new and of Eigen, then ends at an
// unreadable page, but for what its alignment needs, and begins on a page behind an unreadable one. A block that was
// freed is unreadable, too. Sanitizers, and C libraries other than glibc, keep malloc for themselves.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define ICRL_TEST_LEAVE_MALLOC
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define ICRL_TEST_LEAVE_MALLOC
#endif

namespace icrl::test {

#ifdef ICRL_TEST_LEAVE_MALLOC
inline constexpr bool malloc_is_guarded = false;
#else
inline constexpr bool malloc_is_guarded = true;

/// Stands on a page of its own, two pages before the one that the block begins on.
struct GuardedBlock {
  std::size_t mapped, size;

  static std::size_t page() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

  static GuardedBlock* of(const void* memory) {
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    return reinterpret_cast<GuardedBlock*>(address / page() * page() - 2 * page());
  }

  static void* allocate(std::size_t size, std::size_t alignment) {
    alignment = std::max(alignment, alignof(std::max_align_t));
    const std::size_t rounded = (std::max<std::size_t>(size, 1) + alignment - 1) / alignment * alignment;
    const std::size_t inner = (rounded + page() - 1) / page() * page(), mapped = inner + 3 * page();
    if (rounded < size || mapped < rounded || alignment > page()) {
      errno = ENOMEM;
      return nullptr;
    }
    void* const memory = ::mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    auto* const first = static_cast<std::byte*>(memory);
    if (::mprotect(first, page(), PROT_READ | PROT_WRITE) != 0 ||
        ::mprotect(first + 2 * page(), inner, PROT_READ | PROT_WRITE) != 0) {
      ::munmap(first, mapped);
      return nullptr;
    }
    auto* const block = reinterpret_cast<GuardedBlock*>(first);
    *block = {mapped, size};
    return first + 2 * page() + inner - rounded;
  }
};
#endif

}  // namespace icrl::test

#ifndef ICRL_TEST_LEAVE_MALLOC

extern "C" {
void* malloc(std::size_t size) noexcept { return icrl::test::GuardedBlock::allocate(size, 1); }

void free(void* memory) noexcept {
  if (memory == nullptr) return;
  icrl::test::GuardedBlock* const block = icrl::test::GuardedBlock::of(memory);
  ::munmap(block, block->mapped);
}

void* calloc(std::size_t count, std::size_t size) noexcept {
  if (size != 0 && count > SIZE_MAX / size) {
    errno = ENOMEM;
    return nullptr;
  }
  return malloc(count * size);  // pages of the system are zero
}

void* realloc(void* memory, std::size_t size) noexcept {
  void* const moved = malloc(size);
  if (moved == nullptr || memory == nullptr) return moved;
  std::memcpy(moved, memory, std::min(size, icrl::test::GuardedBlock::of(memory)->size));
  free(memory);
  return moved;
}

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  return icrl::test::GuardedBlock::allocate(size, alignment);
}

void* memalign(std::size_t alignment, std::size_t size) noexcept { return aligned_alloc(alignment, size); }

int posix_memalign(void** memory, std::size_t alignment, std::size_t size) noexcept {
  void* const block = aligned_alloc(alignment, size);
  if (block == nullptr) return ENOMEM;
  *memory = block;
  return 0;
}
}

#endif
