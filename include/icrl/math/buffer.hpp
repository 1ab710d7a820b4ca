// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <icrl/core/assert.hpp>
#include <icrl/core/large_pages.hpp>
#include <icrl/math/matrix.hpp>

namespace icrl {

namespace detail {

/// A type whose objects need no construction.
template <typename T>
concept PlainNumber = std::is_trivially_copyable_v<T> && std::is_trivially_default_constructible_v<T> &&
                      alignof(T) <= 64;

}  // namespace detail

/// Rows of numbers that a pass leaves for a later one, row-major without gaps, for kernels rather than for algebra.
/// Large ones lie in pages of 2 MB as far as they fill them. What was moved from is empty.
template <detail::PlainNumber T>
class Buffer {
public:
  /// The type of a number.
  using Scalar = T;

  Buffer() = default;
  /// Their numbers are unspecified.
  Buffer(Index rows, Index columns) { resize(rows, columns); }
  /// A copy has its own memory.
  Buffer(const Buffer& other) { *this = other; }
  /// Takes over the memory of `other`, which is empty afterwards.
  Buffer(Buffer&& other) noexcept { swap(other); }
  /// Copies sizes and numbers. Allocates as resize() does.
  Buffer& operator=(const Buffer& other) {
    if (this == &other) return *this;
    resize(other.rows_, other.columns_);
    std::copy_n(other.data(), other.rows_ * other.columns_, data());
    return *this;
  }
  /// Frees its memory and takes over that of `other`, which is empty afterwards.
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer{std::move(other)}.swap(*this);
    return *this;
  }
  ~Buffer() = default;

  /// Allocates only if it has never been this large. From the second time on, it allocates at least 1.5 times its
  /// previous size, because windows may grow step by step. What it holds then is unspecified. Throws std::bad_alloc if
  /// there is not enough memory; it is then empty or unchanged.
  void resize(Index rows, Index columns) {
    ICRL_ASSERT(rows >= 0 && columns >= 0, "buffer: rows and columns must not be negative");
    if (columns > 0 && rows > std::numeric_limits<Index>::max() / columns) throw std::bad_alloc{};
    const auto count = static_cast<std::size_t>(rows * columns);
    if (count > capacity_) {
      const std::size_t capacity = std::max(count, capacity_ + capacity_ / 2);
      *this = Buffer{};
      numbers_ = detail::in_large_pages<T>(capacity);
      capacity_ = capacity;
    }
    rows_ = rows;
    columns_ = columns;
  }

  /// Rows of the last resize(). Names and order are those of a matrix of Eigen, so that templates take both.
  [[nodiscard]] Index rows() const { return rows_; }
  /// Numbers of a row.
  [[nodiscard]] Index cols() const { return columns_; }
  /// Numbers from one row to the next, which are those of a row.
  [[nodiscard]] Index outerStride() const { return columns_; }
  /// The first number of row 0; null if nothing was allocated.
  [[nodiscard]] T* data() { return numbers_.get(); }
  /// The same to read only.
  [[nodiscard]] const T* data() const { return numbers_.get(); }
  /// One number. Its row and column must lie inside the buffer, which is asserted.
  [[nodiscard]] T& operator()(Index row, Index column) { return data()[place(row, column)]; }
  /// The same to read only.
  [[nodiscard]] const T& operator()(Index row, Index column) const { return data()[place(row, column)]; }

private:
  [[nodiscard]] Index place(Index row, Index column) const {
    ICRL_ASSERT(row >= 0 && row < rows_ && column >= 0 && column < columns_, "buffer: row or column is out of range");
    return row * columns_ + column;
  }

  void swap(Buffer& other) noexcept {
    std::swap(numbers_, other.numbers_);
    std::swap(capacity_, other.capacity_);
    std::swap(rows_, other.rows_);
    std::swap(columns_, other.columns_);
  }

  std::shared_ptr<T[]> numbers_;
  std::size_t capacity_ = 0;
  Index rows_ = 0, columns_ = 0;
};

}  // namespace icrl
