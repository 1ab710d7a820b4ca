// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <limits>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <icrl/core/target.hpp>

namespace icrl {

/// Size of the pages in which large arrays lie, 2 MB.
inline constexpr std::size_t large_page_bytes = std::size_t{1} << 21;

namespace detail {

inline constexpr auto most_bytes = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());

/// `count` uninitialized numbers, in 2 MB pages as far as they fill them and the system provides them (on Linux, unless
/// transparent huge pages are off). Elsewhere, ordinary memory. Throws std::bad_alloc.
template <typename T>
[[nodiscard]] std::shared_ptr<T[]> in_large_pages(std::size_t count) {
  constexpr std::size_t cache_line = 64;
  if (count > most_bytes / sizeof(T)) throw std::bad_alloc{};
  const std::size_t bytes = count * sizeof(T);
  const std::align_val_t alignment{bytes < large_page_bytes ? cache_line : large_page_bytes};
  T* const numbers = static_cast<T*>(::operator new[](bytes, alignment));
  std::shared_ptr<T[]> owner{numbers, [alignment](T* begin) { ::operator delete[](begin, alignment); }};
#if defined(__linux__)
  // If the system ignores this advice, the program is only slower.
  if (bytes >= large_page_bytes) (void)::madvise(numbers, bytes / large_page_bytes * large_page_bytes, MADV_HUGEPAGE);
#endif
  return owner;
}

}  // namespace detail

/// `count` runs of `each` zeros in huge pages, for data that is read sequentially far more often than it is allocated:
/// each ordinary 4 KB page costs an address translation, and hardware does not prefetch across its end. Throws
/// std::bad_alloc.
template <std::floating_point T>
[[nodiscard]] std::shared_ptr<T[]> zeros_in_large_pages(std::size_t count, std::size_t each = 1) {
  if (each > 0 && count > detail::most_bytes / sizeof(T) / each) throw std::bad_alloc{};
  std::shared_ptr<T[]> numbers = detail::in_large_pages<T>(count * each);
  std::fill_n(numbers.get(), count * each, T(0));
  return numbers;
}

/// `size` numbers in huge pages. A copy has its own memory. Assigning an array of the same size keeps the memory. A
/// moved-from array is empty.
template <std::floating_point T>
class LargePageArray {
public:
  /// Gap, in numbers, between adjacent arrays. If equal indices of two arrays were a multiple of a page apart, they
  /// would compete for the same few cache lines.
  static constexpr std::size_t gap = 4352 / sizeof(T);

  /// Initialized to zero.
  explicit LargePageArray(std::size_t size) : size_{size}, numbers_{zeros_in_large_pages<T>(size)} {}

  /// `count` arrays in one block of memory, so that small arrays fill huge pages together.
  [[nodiscard]] static std::vector<LargePageArray> side_by_side(std::size_t count, std::size_t size) {
    const std::shared_ptr<T[]> block = zeros_in_large_pages<T>(count, size + gap);
    std::vector<LargePageArray> arrays;
    arrays.reserve(count);
    for (std::size_t i = 0; i < count; ++i)
      arrays.push_back(LargePageArray{size, std::shared_ptr<T[]>{block, block.get() + i * (size + gap)}});
    return arrays;
  }

  /// A copy with its own memory.
  LargePageArray(const LargePageArray& other) : LargePageArray{other.size_} { copy(other); }
  /// Takes over the memory, and leaves an empty array.
  LargePageArray(LargePageArray&& other) noexcept
      : size_{std::exchange(other.size_, 0)}, numbers_{std::move(other.numbers_)} {}
  /// Copies the numbers. Allocates only if the sizes differ.
  LargePageArray& operator=(const LargePageArray& other) {
    if (size_ != other.size_) *this = LargePageArray(other.size_);
    copy(other);
    return *this;
  }
  /// Takes over the memory, and leaves an empty array.
  LargePageArray& operator=(LargePageArray&& other) noexcept {
    size_ = std::exchange(other.size_, 0);
    numbers_ = std::move(other.numbers_);
    return *this;
  }
  ~LargePageArray() = default;

  /// Numbers in the array.
  [[nodiscard]] std::size_t size() const { return size_; }
  /// The first number.
  [[nodiscard]] T* data() { return numbers_.get(); }
  /// The first number, to read only.
  [[nodiscard]] const T* data() const { return numbers_.get(); }

private:
  LargePageArray(std::size_t size, std::shared_ptr<T[]> numbers) : size_{size}, numbers_{std::move(numbers)} {}

  void copy(const LargePageArray& other) { std::copy_n(other.data(), size_, data()); }

  std::size_t size_;
  std::shared_ptr<T[]> numbers_;
};

}  // namespace icrl
