// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <icrl/core/fail.hpp>

namespace icrl {

/// A tensor as stored in files: a view of its numbers, row by row. They may be unaligned, so copy them out of `bytes`
/// with memcpy.
template <typename Byte>
struct BasicTensorView {
  std::string name;                  ///< such as "blocks.0.mlp.up.weight"
  std::string dtype;                 ///< type of an element, such as "F32"; see dtype_bits
  std::vector<std::uint64_t> shape;  ///< empty for a single number
  std::span<Byte> bytes;             ///< row-major, little-endian
};
/// A tensor view to read only.
using TensorView = BasicTensorView<const std::byte>;
/// A tensor view with writable numbers.
using MutableTensorView = BasicTensorView<std::byte>;

/// The name of an element type in files; empty for a type that tensors cannot have.
template <typename T>
inline constexpr std::string_view dtype_of{};
/// "F32", 32 bits.
template <>
inline constexpr std::string_view dtype_of<float> = "F32";
/// "F64", 64 bits.
template <>
inline constexpr std::string_view dtype_of<double> = "F64";
template <>
inline constexpr std::string_view dtype_of<std::int8_t> = "I8";
template <>
inline constexpr std::string_view dtype_of<std::uint8_t> = "U8";
template <>
inline constexpr std::string_view dtype_of<std::int16_t> = "I16";
template <>
inline constexpr std::string_view dtype_of<std::uint16_t> = "U16";
template <>
inline constexpr std::string_view dtype_of<std::int32_t> = "I32";

/// Bits per element for the types of the safetensors format; 0 for an unknown type.
[[nodiscard]] inline int dtype_bits(std::string_view dtype) {
  static constexpr std::pair<std::string_view, int> known[] = {
      {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"BOOL", 8}, {"U8", 8},   {"I8", 8},    {"F8_E5M2", 8},
      {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"I16", 16},    {"U16", 16}, {"F16", 16}, {"BF16", 16}, {"I32", 32},
      {"U32", 32},    {"F32", 32},    {"I64", 64},    {"U64", 64}, {"F64", 64}, {"C64", 64}};
  const auto* const found =
      std::find_if(std::begin(known), std::end(known), [&](const auto& type) { return type.first == dtype; });
  return found == std::end(known) ? 0 : found->second;
}

/// "9x64"; "1" for a single number.
[[nodiscard]] inline std::string to_string(std::span<const std::uint64_t> shape) {
  return shape.empty() ? "1" : joined(shape, "x");
}

/// Size in bytes of a tensor of this type and shape. Throws Error, which begins with `what`, for an unknown type, a
/// size that overflows, or a size that is not a whole number of bytes.
[[nodiscard]] inline std::uint64_t byte_count(std::string_view dtype, std::span<const std::uint64_t> shape,
                                              std::string_view what) {
  const auto bits = static_cast<std::uint64_t>(dtype_bits(dtype));
  if (bits == 0) fail("{}: unknown element type \"{}\"", what, dtype);
  std::uint64_t product = bits;
  for (const std::uint64_t size : shape) {
    if (__builtin_mul_overflow(product, size, &product))
      fail("{}: the size of {} {} overflows", what, dtype, to_string(shape));
  }
  if (product % 8 != 0) fail("{}: {} {} does not take a whole number of bytes", what, dtype, to_string(shape));
  return product / 8;
}

}  // namespace icrl
