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

/// `size` numbers in large pages. A copy has memory of its own; one that is assigned as many stays where it is; what
/// was moved from has none.
template <std::floating_point T>
class LargePageArray {
public:
  /// Numbers between two arrays that lie side by side. Were equal places of theirs a multiple of a page apart, they
  /// would compete for the same few lines of a CPU's cache.
  static constexpr std::size_t gap = 4352 / sizeof(T);

  /// All zero.
  explicit LargePageArray(std::size_t size) : size_{size}, numbers_{zeros_in_large_pages<T>(size)} {}

  /// `count` arrays in one block of memory, so that small ones fill large pages together.
  [[nodiscard]] static std::vector<LargePageArray> side_by_side(std::size_t count, std::size_t size) {
    const std::shared_ptr<T[]> block = zeros_in_large_pages<T>(count, size + gap);
    std::vector<LargePageArray> arrays;
    arrays.reserve(count);
    for (std::size_t i = 0; i < count; ++i)
      arrays.push_back(LargePageArray{size, std::shared_ptr<T[]>{block, block.get() + i * (size + gap)}});
    return arrays;
  }

  LargePageArray(const LargePageArray& other) : LargePageArray{other.size_} { copy(other); }
  LargePageArray(LargePageArray&& other) noexcept
      : size_{std::exchange(other.size_, 0)}, numbers_{std::move(other.numbers_)} {}
  LargePageArray& operator=(const LargePageArray& other) {
    if (size_ != other.size_) *this = LargePageArray(other.size_);
    copy(other);
    return *this;
  }
  LargePageArray& operator=(LargePageArray&& other) noexcept {
    size_ = std::exchange(other.size_, 0);
    numbers_ = std::move(other.numbers_);
    return *this;
  }
  ~LargePageArray() = default;

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] T* data() { return numbers_.get(); }
  [[nodiscard]] const T* data() const { return numbers_.get(); }

private:
  LargePageArray(std::size_t size, std::shared_ptr<T[]> numbers) : size_{size}, numbers_{std::move(numbers)} {}

  void copy(const LargePageArray& other) { std::copy_n(other.data(), size_, data()); }

  std::size_t size_;
  std::shared_ptr<T[]> numbers_;
};

}  // namespace icrl
