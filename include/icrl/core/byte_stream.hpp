// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <icrl/core/fail.hpp>

namespace icrl {

static_assert(std::endian::native == std::endian::little,
              "icrl's own files hold little-endian numbers as they lie in memory");

/// A number that may be written as its bytes.
template <typename T>
concept PlainNumber = std::is_arithmetic_v<T> || std::is_same_v<T, std::byte>;

/// Appends numbers and texts to a growing run of bytes.
class ByteWriter {
public:
  /// Writes a number as its bytes, little-endian.
  template <PlainNumber T>
  void value(T number) {
    values(std::span<const T>{&number, 1});
  }
  /// Writes only the numbers; the reader must know how many there are.
  template <PlainNumber T>
  void values(std::span<const T> numbers) {
    if (numbers.empty()) return;
    const std::size_t before = bytes_.size();
    bytes_.resize(before + numbers.size_bytes());  // not insert(): g++ 12 at -O3 warns of an overflow
    std::memcpy(bytes_.data() + before, numbers.data(), numbers.size_bytes());
  }
  /// Writes the length (u32), then the characters.
  void text(std::string_view characters) {
    value(static_cast<std::uint32_t>(characters.size()));
    values(std::span<const char>{characters.data(), characters.size()});
  }

  /// All that was written; valid until the next write.
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

private:
  std::vector<std::byte> bytes_;
};

/// Reads, in order, what a ByteWriter wrote. Throws Error, which names `what`, if the bytes end too soon.
class ByteReader {
public:
  /// The bytes must outlive the reader.
  ByteReader(std::span<const std::byte> bytes, std::string what) : bytes_{bytes}, what_{std::move(what)} {}

  /// Reads a number.
  template <PlainNumber T>
  [[nodiscard]] T value() {
    T number;
    values(std::span<T>{&number, 1});
    return number;
  }
  /// Reads as many numbers as `out` holds.
  template <PlainNumber T>
  void values(std::span<T> out) {
    const auto taken = take(out.size_bytes());
    if (!taken.empty()) std::memcpy(out.data(), taken.data(), taken.size());
  }
  /// Reads a text: its length (u32), then the characters.
  [[nodiscard]] std::string text() {
    const auto characters = take(value<std::uint32_t>());
    return {reinterpret_cast<const char*>(characters.data()), characters.size()};
  }
  /// Reads a number that must lie in least .. most; `name` is used in the Error.
  template <PlainNumber T>
  [[nodiscard]] T value_in(std::string_view name, T least, T most) {
    const T number = value<T>();
    if (!(number >= least && number <= most))
      fail("{}: {} is {}, it must lie in {} .. {}", what_, name, number, least, most);
    return number;
  }

  /// Throws Error if bytes are left.
  void check_end() const {
    if (position_ != bytes_.size()) fail("{}: {} bytes follow the last value", what_, bytes_.size() - position_);
  }
  /// What the bytes are, for errors.
  [[nodiscard]] const std::string& what() const { return what_; }

private:
  std::span<const std::byte> take(std::size_t count) {
    if (count > bytes_.size() - position_)
      fail("{}: ends {} bytes too soon, at byte {}", what_, count - (bytes_.size() - position_), bytes_.size());
    position_ += count;
    return bytes_.subspan(position_ - count, count);
  }

  std::span<const std::byte> bytes_;
  std::string what_;
  std::size_t position_ = 0;
};

}  // namespace icrl
