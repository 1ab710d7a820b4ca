// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <string_view>

#include <icrl/core/assert.hpp>
#include <icrl/core/byte_stream.hpp>
#include <icrl/core/checksum.hpp>
#include <icrl/core/file.hpp>

namespace icrl {

/// A file with one checked payload, for data that a program writes and reads itself. Little-endian:
///   1. bytes 0 .. 7: the kind of file, padded with zeros
///   2. bytes 8 .. 11: u32 version of the payload's format
///   3. bytes 12 .. 15: u32 CRC-32C of the payload
///   4. bytes 16 .. 23: u64 size of the payload in bytes
///   5. the payload, up to the end of the file
struct CheckedFileKind {
  std::string_view magic;  ///< at most 8 characters
  std::string_view name;   ///< for errors, such as "agent memory"
  std::uint32_t version;   ///< written to new files; files of any other version are refused
};

namespace detail {

inline std::array<char, 8> padded_magic(const CheckedFileKind& kind) {
  std::array<char, 8> magic{};
  ICRL_ASSERT(kind.magic.size() <= magic.size(), "checked file: magic must have at most 8 characters");
  std::copy(kind.magic.begin(), kind.magic.end(), magic.begin());
  return magic;
}

}  // namespace detail

/// Replaces the whole file, or leaves it unchanged if that fails.
inline void write_checked_file(const std::filesystem::path& path, const CheckedFileKind& kind,
                               std::span<const std::byte> payload) {
  ByteWriter file;
  file.values(std::span<const char>{detail::padded_magic(kind)});
  file.value(kind.version);
  file.value(crc32c(payload));
  file.value(std::uint64_t{payload.size()});
  file.values(payload);
  write_file_atomically(path, file.bytes());
}

/// Opens a checked file and verifies it. Throws Error for a file of another kind or version, or one that is cut or
/// damaged.
class CheckedFile {
public:
  static constexpr std::size_t header_size = 24;  ///< bytes before the payload

  /// Maps the file. `kind.name` and the path begin every error.
  CheckedFile(const std::filesystem::path& path, const CheckedFileKind& kind)
      : what_{fmt::format("{} \"{}\"", kind.name, path.string())}, file_{path} {
    ByteReader header{file_.bytes(), what_};
    std::array<char, 8> magic{};
    if (file_.bytes().size() >= header_size) header.values(std::span<char>{magic});
    if (magic != detail::padded_magic(kind))
      fail("{}: is not a file of this kind; it should begin with \"{}\"", what_, kind.magic);
    const auto version = header.value<std::uint32_t>();
    if (version != kind.version) {
      fail("{}: format version {}, this build reads version {}{}", what_, version, kind.version,
           version > kind.version ? " (was it written by a newer icrl?)" : "");
    }
    const auto checksum = header.value<std::uint32_t>();
    const auto size = header.value<std::uint64_t>(), held = std::uint64_t{file_.bytes().size() - header_size};
    if (size != held) fail("{}: holds {} bytes of payload, its header says {} (was it cut?)", what_, held, size);
    const auto found = crc32c(payload());
    if (found != checksum)
      fail("{}: its checksum is {:08x}, but {:08x} is stored (the file is damaged)", what_, found, checksum);
  }

  /// Reads the payload from its beginning. This object must outlive the reader.
  [[nodiscard]] ByteReader reader() const { return {payload(), what_}; }

private:
  [[nodiscard]] std::span<const std::byte> payload() const { return file_.bytes().subspan(header_size); }

  std::string what_;
  MappedFile file_;
};

}  // namespace icrl
