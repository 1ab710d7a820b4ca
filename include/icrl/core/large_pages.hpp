// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <limits>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace icrl {

/// `count` runs of `each` zeros, in pages of 2 MB as far as they fill such and the system gives them (on Linux unless
/// transparent huge pages are off; elsewhere they are ordinary memory). For what is read from first to last far more
/// often than it is made: every ordinary page of 4 KB costs a translation of its address, and hardware does not read
/// ahead across its end. Throws std::bad_alloc where there is not so much memory.
template <std::floating_point T>
[[nodiscard]] std::shared_ptr<T[]> zeros_in_large_pages(std::size_t count, std::size_t each = 1) {
  constexpr std::size_t large_page = std::size_t{1} << 21, cache_line = 64;
  constexpr auto most = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());
  if (each > 0 && count > most / sizeof(T) / each) throw std::bad_alloc{};
  const std::size_t bytes = count * each * sizeof(T);
  const std::align_val_t alignment{bytes < large_page ? cache_line : large_page};
  T* const numbers = static_cast<T*>(::operator new[](bytes, alignment));
  std::shared_ptr<T[]> owner{numbers, [alignment](T* begin) { ::operator delete[](begin, alignment); }};
#if defined(__linux__)
  // Advice: where it is not taken, nothing but time is lost.
  if (bytes >= large_page) (void)::madvise(numbers, bytes / large_page * large_page, MADV_HUGEPAGE);
#endif
  std::fill_n(numbers, count * each, T(0));
  return owner;
}

}  // namespace icrl
