// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include <icrl/core/target.hpp>

namespace icrl {
namespace detail {

/// tables[k][b] is the contribution of byte b to the checksum if k more bytes follow it.
inline constexpr auto crc32c_tables = [] {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0x82F63B78u & (0u - (crc & 1u)));
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte)
      tables[k][byte] = (tables[k - 1][byte] >> 8) ^ tables[0][tables[k - 1][byte] & 0xFFu];
  }
  return tables;
}();

}  // namespace detail

/// CRC-32C (Castagnoli), eight bytes at a time. It detects every burst of up to 32 bits and, up to 256 MB, every error
/// of up to three bits. To continue an earlier call, pass its result as `previous`.
[[nodiscard]] inline std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t previous = 0) {
  const auto& tables = detail::crc32c_tables;
  std::uint32_t crc = ~previous;
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    std::array<std::uint8_t, 8> b;
    std::memcpy(b.data(), bytes.data() + i, 8);
    crc = tables[7][b[0] ^ (crc & 0xFFu)] ^ tables[6][b[1] ^ ((crc >> 8) & 0xFFu)] ^
          tables[5][b[2] ^ ((crc >> 16) & 0xFFu)] ^ tables[4][b[3] ^ (crc >> 24)] ^ tables[3][b[4]] ^ tables[2][b[5]] ^
          tables[1][b[6]] ^ tables[0][b[7]];
  }
  for (; i < bytes.size(); ++i) crc = (crc >> 8) ^ tables[0][(crc ^ static_cast<std::uint32_t>(bytes[i])) & 0xFFu];
  return ~crc;
}

}  // namespace icrl
