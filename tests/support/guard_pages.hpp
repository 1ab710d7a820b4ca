// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <new>
#include <utility>

namespace icrl::test {

/// Which end of an array touches an unreadable page.
enum class Guard { behind, before };

/// Pages of memory between two unreadable ones: reading or writing beside them ends the program, whatever the compiler
/// made of the code that does it.
class GuardedPages {
public:
  explicit GuardedPages(std::size_t bytes)
      : page_{static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))},
        inner_{(bytes + page_ - 1) / page_ * page_},
        begin_{static_cast<std::byte*>(
            ::mmap(nullptr, inner_ + 2 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))} {
    if (begin_ == static_cast<std::byte*>(MAP_FAILED)) throw std::bad_alloc{};
    if (inner_ > 0 && ::mprotect(begin(), inner_, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc{};
  }
  GuardedPages(GuardedPages&& other) noexcept
      : page_{other.page_}, inner_{other.inner_}, begin_{std::exchange(other.begin_, nullptr)} {}
  GuardedPages& operator=(GuardedPages&&) = delete;
  ~GuardedPages() {
    if (begin_ != nullptr) ::munmap(begin_, inner_ + 2 * page_);
  }

  [[nodiscard]] std::byte* begin() const { return begin_ + page_; }
  [[nodiscard]] std::byte* end() const { return begin() + inner_; }

private:
  std::size_t page_, inner_;
  std::byte* begin_;
};

/// `count` numbers, all zero, that end right before an unreadable page or begin right behind one. They are aligned as
/// their type needs and no better.
template <typename T>
class GuardedArray {
public:
  explicit GuardedArray(std::size_t count, Guard guard = Guard::behind)
      : pages_{count * sizeof(T)},
        count_{count},
        data_{reinterpret_cast<T*>(guard == Guard::behind ? pages_.end() - count * sizeof(T) : pages_.begin())} {
    for (std::size_t i = 0; i < count; ++i) ::new (data_ + i) T{};
  }

  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] T* begin() const { return data_; }
  [[nodiscard]] T* end() const { return data_ + count_; }
  [[nodiscard]] T& operator[](std::size_t i) const { return data_[i]; }

private:
  GuardedPages pages_;
  std::size_t count_;
  T* data_;
};

}  // namespace icrl::test
