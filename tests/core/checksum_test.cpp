// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/core/checksum.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <icrl/core/rng.hpp>

#include "support/catch.hpp"

using namespace icrl;

namespace {

std::uint32_t checksum_of(std::string_view text) { return crc32c(std::as_bytes(std::span{text})); }

std::vector<std::byte> random_bytes(std::size_t size) {
  Rng rng{size};
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(rng.below(256));
  return bytes;
}

/// The definition: one bit at a time.
std::uint32_t slow_crc32c(std::span<const std::byte> bytes) {
  std::uint32_t crc = 0xFFFFFFFF;
  for (const std::byte byte : bytes) {
    crc ^= static_cast<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82F63B78 : crc >> 1;
  }
  return ~crc;
}

}  // namespace

TEST_CASE("CRC-32C gives the published values", "[core]") {
  CHECK(checksum_of("123456789") == 0xE3069283);
  CHECK(checksum_of("") == 0);
  CHECK(crc32c(std::vector<std::byte>(32)) == 0x8A9136AA);  // RFC 3720, B.4
  CHECK(crc32c(std::vector<std::byte>(32, std::byte{0xFF})) == 0x62A8AB43);
}

TEST_CASE("CRC-32C follows its definition at every length and alignment", "[core]") {
  const auto bytes = random_bytes(64);
  for (std::size_t first = 0; first < 9; ++first)
    for (std::size_t size = 0; first + size <= bytes.size(); ++size) {
      const auto part = std::span{bytes}.subspan(first, size);
      REQUIRE(crc32c(part) == slow_crc32c(part));
    }
}

TEST_CASE("CRC-32C goes on where another call ended", "[core]") {
  const auto bytes = random_bytes(50);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut)
    CHECK(crc32c(std::span{bytes}.subspan(cut), crc32c(std::span{bytes}.first(cut))) == crc32c(bytes));
}

TEST_CASE("CRC-32C changes with every bit", "[core]") {
  auto bytes = random_bytes(40);
  const auto right = crc32c(bytes);
  for (std::byte& byte : bytes)
    for (int bit = 0; bit < 8; ++bit) {
      byte ^= std::byte{1} << bit;
      CHECK(crc32c(bytes) != right);
      byte ^= std::byte{1} << bit;
    }
}
