// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace icrl {

inline constexpr std::size_t large_page_bytes = std::size_t{1} << 21;

namespace detail {

inline constexpr auto most_bytes = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());

/// Whether arrays may share a block. On Linux memory that nobody has touched yet is not taken from anybody. The address
/// sanitizer notices who leaves an array only where nothing else of use follows.
inline constexpr bool shares_blocks =
#if !defined(__linux__) || defined(__SANITIZE_ADDRESS__)
    false;
#elif defined(__clang__)
    !__has_feature(address_sanitizer);
#else
    true;
#endif

/// `count` numbers, not initialised, in pages of 2 MB as far as they fill such and the system gives them: on Linux
/// unless transparent huge pages are off; elsewhere they are ordinary memory. Throws std::bad_alloc.
template <typename T>
[[nodiscard]] std::shared_ptr<T[]> in_large_pages(std::size_t count) {
  constexpr std::size_t cache_line = 64;
  if (count > most_bytes / sizeof(T)) throw std::bad_alloc{};
  const std::size_t bytes = count * sizeof(T);
  const std::align_val_t alignment{bytes < large_page_bytes ? cache_line : large_page_bytes};
  T* const numbers = static_cast<T*>(::operator new[](bytes, alignment));
  std::shared_ptr<T[]> owner{numbers, [alignment](T* begin) { ::operator delete[](begin, alignment); }};
#if defined(__linux__)
  // Advice: where it is not taken, nothing but time is lost.
  if (bytes >= large_page_bytes) (void)::madvise(numbers, bytes / large_page_bytes * large_page_bytes, MADV_HUGEPAGE);
#endif
  return owner;
}

/// A part of a block of large pages, which all callers share.
[[nodiscard]] inline std::shared_ptr<std::byte[]> share_block(std::size_t bytes) {
  constexpr std::size_t block_bytes = 16 * large_page_bytes, cache_line = 64;
  static std::mutex mutex;
  static std::weak_ptr<std::byte[]> current;
  static std::size_t used = 0;
  const std::size_t with_gap = (bytes / cache_line + 2) * cache_line;
  const std::lock_guard lock{mutex};
  std::shared_ptr<std::byte[]> block = current.lock();
  if (block == nullptr || block_bytes - used < with_gap) {
    block = in_large_pages<std::byte>(block_bytes);
    current = block;
    used = 0;
  }
  std::byte* const begin = block.get() + std::exchange(used, used + with_gap);
  return {std::move(block), begin};
}

}  // namespace detail

/// `count` runs of `each` zeros in large pages, for what is read from first to last far more often than it is made:
/// every ordinary page of 4 KB costs a translation of its address, and hardware does not read ahead across its end.
/// Throws std::bad_alloc where there is not so much memory.
template <std::floating_point T>
[[nodiscard]] std::shared_ptr<T[]> zeros_in_large_pages(std::size_t count, std::size_t each = 1) {
  if (each > 0 && count > detail::most_bytes / sizeof(T) / each) throw std::bad_alloc{};
  std::shared_ptr<T[]> numbers = detail::in_large_pages<T>(count * each);
  std::fill_n(numbers.get(), count * each, T(0));
  return numbers;
}

/// `count` numbers, not initialised, that fill large pages together with those of other calls, if they are fewer than
/// would fill one alone. For arrays that live about as long as those asked for next to them: their block of pages is
/// given back when the last of them is. They begin at a cache line, neighbours never at the same place of a page. Any
/// thread may call. Throws std::bad_alloc.
template <typename T>
[[nodiscard]] std::shared_ptr<T[]> share_large_pages(std::size_t count) {
  if (!detail::shares_blocks || count >= large_page_bytes / sizeof(T)) return detail::in_large_pages<T>(count);
  std::shared_ptr<std::byte[]> bytes = detail::share_block(count * sizeof(T));
  T* const begin = ::new (bytes.get()) T[count];
  return {std::move(bytes), begin};
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
