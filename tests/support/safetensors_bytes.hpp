// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <icrl/core/checksum.hpp>

namespace icrl::test {

/// A safetensors file by hand.
inline std::vector<char> safetensors_bytes(const std::string& header, const std::string& data) {
  const std::uint64_t size = header.size();
  std::vector<char> bytes(8);
  std::memcpy(bytes.data(), &size, 8);
  bytes.insert(bytes.end(), header.begin(), header.end());
  bytes.insert(bytes.end(), data.begin(), data.end());
  return bytes;
}

inline std::vector<char> with_flipped_bit(std::vector<char> bytes, std::size_t bit) {
  bytes[bit / 8] = static_cast<char>(static_cast<unsigned char>(bytes[bit / 8]) ^ (1u << (bit % 8)));
  return bytes;
}

/// The bytes with the checksum that they should have, as one who forges a file would write it.
inline std::vector<char> with_right_checksum(std::vector<char> bytes) {
  const std::string text{bytes.begin(), bytes.end()}, prefix = "\"icrl.checksum\":\"";
  const std::size_t found = text.find(prefix), place = found + prefix.size();
  if (found == text.npos || place + 8 > bytes.size()) return bytes;
  std::memcpy(bytes.data() + place, "00000000", 8);
  char digits[9];
  std::snprintf(digits, sizeof digits, "%08x", crc32c(std::as_bytes(std::span{bytes})));
  std::memcpy(bytes.data() + place, digits, 8);
  return bytes;
}

}  // namespace icrl::test
