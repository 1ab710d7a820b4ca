// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <icrl/core/os_file.hpp>

namespace icrl {

/// Asks the system to read parts of mapped files that will be needed soon, without waiting for them (on Windows it
/// does not ask). Merges consecutive parts that are close together. Affects only speed.
class ReadAhead {
public:
  ReadAhead() = default;
  ~ReadAhead() { flush(); }
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  /// Adds a part of a mapped file. Parts in ascending order can be merged; any other one requests those before it.
  void add(std::span<const std::byte> bytes) {
    if (bytes.empty()) return;
    const std::byte* const end = bytes.data() + bytes.size();
    if (address(bytes.data()) < address(begin_) || address(bytes.data()) > address(end_) + close) {
      flush();
      begin_ = end_ = bytes.data();
    }
    if (address(end) > address(end_)) end_ = end;
  }

  /// Requests the parts added so far. The destructor does the same.
  void flush() {
    std::size_t left = static_cast<std::size_t>(end_ - begin_) + address(begin_) % os::page_size();
    while (left > 0) {
      const std::size_t size = std::min(left, piece);
      os::prefetch(end_ - left, size);
      left -= size;
    }
    begin_ = end_ = nullptr;
  }

private:
  static constexpr std::size_t close = 0x4000;   // reading a gap of this size costs less than a second request
  static constexpr std::size_t piece = 0x20000;  // Linux may limit one request to its own read-ahead size

  static std::uintptr_t address(const std::byte* byte) { return reinterpret_cast<std::uintptr_t>(byte); }

  const std::byte *begin_ = nullptr, *end_ = nullptr;  // the part to request
};

}  // namespace icrl
