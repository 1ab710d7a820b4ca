// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include <icrl/math/matrix.hpp>

// Whole numbers of 1 to 8 bits, packed column by column: number i of a column has the bits i * bits .. of the column's
// bytes, the lowest first. The bits left over in a column's last byte are zero.
namespace icrl::detail {

/// Bytes of `count` numbers.
[[nodiscard]] constexpr std::int64_t packed_size(std::int64_t count, int bits) { return (count * bits + 7) / 8; }

/// Number i of `column`. Byte is std::int8_t or std::uint8_t.
template <typename Byte>
[[nodiscard]] unsigned packed_at(const Matrix<Byte>& bytes, Index i, Index column, int bits) {
  const Index bit = i * bits, byte = bit / 8;
  unsigned value = static_cast<std::uint8_t>(bytes(byte, column));
  if (bit % 8 + bits > 8) value |= static_cast<unsigned>(static_cast<std::uint8_t>(bytes(byte + 1, column))) << 8;
  return (value >> (bit % 8)) & ((1u << bits) - 1);
}

/// Sets number i of `column`, whose bits are still zero, to `value`, which has at most `bits` bits.
template <typename Byte>
void set_packed(Matrix<Byte>& bytes, Index i, Index column, int bits, unsigned value) {
  const auto add = [&](Index row, unsigned more) {
    bytes(row, column) = static_cast<Byte>(static_cast<std::uint8_t>(bytes(row, column)) | (more & 0xffu));
  };
  const Index bit = i * bits;
  add(bit / 8, value << (bit % 8));
  if (bit % 8 + bits > 8) add(bit / 8 + 1, value >> (8 - bit % 8));
}

/// Whether all bits after the `count` numbers of `column` are zero.
template <typename Byte>
[[nodiscard]] bool ends_in_zeros(const Matrix<Byte>& bytes, Index count, Index column, int bits) {
  const Index used = count * bits % 8;
  return used == 0 || static_cast<std::uint8_t>(bytes(bytes.rows() - 1, column)) >> used == 0;
}

}  // namespace icrl::detail
