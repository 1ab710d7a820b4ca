// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <variant>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/env/space.hpp>

namespace icrl {

/// The type that holds every value of a space: one byte for ids up to 255, else two bytes; the element type of a box.
[[nodiscard]] inline ElementType element_type(const Space& space) {
  if (const auto* box = std::get_if<Box>(&space)) return box->element;
  for (const int count : id_counts(space))
    if (count > 256) return ElementType::u16;
  return ElementType::u8;
}

namespace detail {

template <typename Element>
void widen(const std::byte* from, std::span<float> out) {
  for (float& value : out) {
    Element element;
    std::memcpy(&element, from, sizeof element);
    value = static_cast<float>(element);
    from += sizeof element;
  }
}

template <typename Element>
void narrow(std::span<const float> values, std::byte* to) {
  for (const float value : values) {
    const auto element = static_cast<Element>(value);
    std::memcpy(to, &element, sizeof element);
    to += sizeof element;
  }
}

}  // namespace detail

/// Rows of `width` floats kept in a narrower type, in a Column or in a mapped file. Does not own them.
struct ColumnView {
  const std::byte* data = nullptr;      ///< row 0; rows follow each other without gaps
  ElementType type = ElementType::f32;  ///< of the stored numbers
  int width = 0;                        ///< numbers per row

  /// Bytes of a row.
  [[nodiscard]] std::size_t row_bytes() const { return size_of(type) * static_cast<std::size_t>(width); }
  /// Where a row begins.
  [[nodiscard]] const std::byte* row(std::int64_t index) const {
    return data + static_cast<std::size_t>(index) * row_bytes();
  }

  /// `out` has `width` values.
  void read(std::int64_t index, std::span<float> out) const {
    ICRL_ASSERT(out.size() == static_cast<std::size_t>(width), "ColumnView::read: out must have the column's width");
    const std::byte* const from = row(index);
    switch (type) {
      case ElementType::u8:
        return detail::widen<std::uint8_t>(from, out);
      case ElementType::u16:
        return detail::widen<std::uint16_t>(from, out);
      case ElementType::f32:
        return detail::widen<float>(from, out);
    }
  }
};

/// Growing rows of `width` floats kept in a narrower type. Values must be representable in it.
class Column {
public:
  /// An empty column of elements of the space, in the type that element_type() chooses.
  explicit Column(const Space& space) : type_{element_type(space)}, width_{value_count(space)} {}

  /// Inlined, because it does little work and is called three times per step.
  [[gnu::always_inline]] void append(std::span<const float> row) {
    ICRL_ASSERT(row.size() == static_cast<std::size_t>(width_), "Column::append: row must have the column's width");
    const std::size_t row_bytes = size_of(type_) * row.size();
    if (used_ + row_bytes > bytes_.size()) bytes_.resize(2 * bytes_.size() + 64 * row_bytes);
    std::byte* const to = bytes_.data() + used_;
    used_ += row_bytes;
    switch (type_) {
      case ElementType::u8:
        return detail::narrow<std::uint8_t>(row, to);
      case ElementType::u16:
        return detail::narrow<std::uint16_t>(row, to);
      case ElementType::f32:
        return detail::narrow<float>(row, to);
    }
  }

  /// Forgets all rows from `row_count` on.
  void truncate(std::int64_t row_count) { used_ = static_cast<std::size_t>(row_count) * view().row_bytes(); }

  /// The rows so far; valid until the next append().
  [[nodiscard]] ColumnView view() const { return {bytes_.data(), type_, width_}; }

private:
  ElementType type_;
  int width_;
  std::vector<std::byte> bytes_;  // its size is the capacity: growing it row by row would zero every row first
  std::size_t used_ = 0;
};

}  // namespace icrl
