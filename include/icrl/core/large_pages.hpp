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
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <icrl/core/target.hpp>

namespace icrl {

inline constexpr std::size_t large_page_bytes = std::size_t{1} << 21;

namespace detail {

inline constexpr auto most_bytes = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());

/// Whether arrays share blocks. On Linux, the untouched rest of a block uses no memory. Off under the address
/// sanitizer, which detects an access past the end of an array only if no other array follows.
inline constexpr bool shares_blocks =
#if !defined(__linux__) || defined(__SANITIZE_ADDRESS__)
    false;
#elif defined(__clang__)
    !__has_feature(address_sanitizer);
#else
    true;
#endif

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

/// A part of a shared block of huge pages, or null if no block can be allocated. It begins at a cache line, and
/// neighbors begin at different offsets within a page. The type is shared_ptr<std::byte> rather than
/// shared_ptr<std::byte[]>, because emscripten's libc++ has no weak_ptr to arrays.
[[nodiscard]] inline std::shared_ptr<std::byte> share_block(std::size_t bytes) {
  constexpr std::size_t block_bytes = 4 * large_page_bytes, cache_line = 64, page = 4096;
  struct State {
    std::mutex mutex;
    std::weak_ptr<std::byte> block;
    std::size_t used = 0;
  };
  static State& state = *new State;  // never destroyed: calls may come until the program ends
  std::size_t with_gap = (bytes / cache_line + 1) * cache_line;
  if (with_gap % page == 0) with_gap += cache_line;
  const std::lock_guard lock{state.mutex};
  std::shared_ptr<std::byte> block = state.block.lock();
  if (block == nullptr || block_bytes - state.used < with_gap) {
    try {
      const std::shared_ptr<std::byte[]> bytes_of_block = in_large_pages<std::byte>(block_bytes);
      block = {bytes_of_block, bytes_of_block.get()};
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
    state.block = block;
    state.used = 0;
  }
  std::byte* const begin = block.get() + std::exchange(state.used, state.used + with_gap);
  return {std::move(block), begin};
}

/// A type whose objects need no construction.
template <typename T>
concept PlainNumber = std::is_trivially_copyable_v<T> && std::is_trivially_default_constructible_v<T> &&
                      alignof(T) <= 64;

/// Minimum size in bytes of an array that shares pages: large enough to benefit, and so that few arrays fill a block.
inline constexpr std::size_t least_shared_bytes = large_page_bytes / 32;

/// `count` uninitialized numbers. Arrays of 64 KB to 2 MB are sub-allocated from shared 8 MB blocks of huge pages;
/// larger arrays have pages of their own. A block is freed with its last array, so use this for arrays with similar
/// lifetimes. Thread-safe. Throws std::bad_alloc.
template <PlainNumber T>
[[nodiscard]] std::shared_ptr<T[]> share_large_pages(std::size_t count) {
  if (shares_blocks && count >= least_shared_bytes / sizeof(T) && count < large_page_bytes / sizeof(T)) {
    if (std::shared_ptr<std::byte> bytes = share_block(count * sizeof(T))) {
      T* const begin = ::new (bytes.get()) T[count];
      // A separate owner, so that allocation counters see this allocation.
      return {begin, [block = std::move(bytes)](T*) {}};
    }
  }
  return in_large_pages<T>(count);
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
