// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

// What fuzz targets share. An input is 8 bytes of choices (which model, which options, what to repair) and then the
// bytes of a file. A target puts the file's checksums right, so that inputs get past them, reads it and, if that
// succeeds, uses what was read. An Error is an answer; anything else that ends a run is a find.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include <icrl/core/checked_file.hpp>
#include <icrl/core/checksum.hpp>
#include <icrl/core/error.hpp>
#include <icrl/core/rng.hpp>

namespace icrl::fuzz {

using Bytes = std::vector<char>;

/// Ends the run as a crash does, so that the fuzzer keeps the input.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz target: does not hold: %s\n", what);
  std::abort();
}

/// Decisions that an input makes.
class Choices {
public:
  static constexpr std::size_t size = 8;

  explicit Choices(std::uint64_t bits) : bits_{bits}, seed_{bits} {}

  /// 0 .. count - 1.
  int below(int count) {
    const auto n = static_cast<std::uint64_t>(count);
    const auto chosen = static_cast<int>(bits_ % n);
    bits_ /= n;
    return chosen;
  }
  bool once_in(int count) { return below(count) == 0; }
  /// For what is too much to be chosen by the input.
  [[nodiscard]] Rng rng() const { return Rng{seed_}; }

private:
  std::uint64_t bits_, seed_;
};

/// Reads one kind of file. `make` returns a file that the library itself wrote for these choices.
template <typename T>
concept Target = requires(Choices choices, Bytes file, Rng& rng) {
  { T::make(choices, rng) } -> std::same_as<Bytes>;
  { T::run(choices, file) } -> std::same_as<void>;
};

/// A whole input.
template <Target T>
[[nodiscard]] Bytes make_input(Rng& rng) {
  const std::uint64_t bits = rng.bits();
  Bytes input(Choices::size);
  std::memcpy(input.data(), &bits, sizeof bits);
  const Bytes file = T::make(Choices{bits}, rng);
  input.insert(input.end(), file.begin(), file.end());
  return input;
}

/// Returns whether there was no Error; every other exception goes on to the caller.
template <Target T>
bool run_input(std::span<const char> input) {
  if (input.size() < Choices::size) return false;
  std::uint64_t bits = 0;
  std::memcpy(&bits, input.data(), sizeof bits);
  try {
    T::run(Choices{bits}, Bytes{input.begin() + Choices::size, input.end()});
  } catch (const Error&) {
    return false;
  }
  return true;
}

/// A file in memory that has a path.
class MemoryFile {
public:
  MemoryFile() : descriptor_{::memfd_create("icrl", MFD_CLOEXEC)} {
    require(descriptor_ >= 0, "a file can be made in memory");
    path_ = "/proc/self/fd/" + std::to_string(descriptor_);
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  void write(std::span<const char> bytes) {
    const bool is_written = ::ftruncate(descriptor_, 0) == 0 && ::pwrite(descriptor_, bytes.data(), bytes.size(), 0) ==
                                                                    static_cast<::ssize_t>(bytes.size());
    require(is_written, "a file in memory can be written");
  }
  [[nodiscard]] Bytes read() const {
    Bytes bytes(static_cast<std::size_t>(::lseek(descriptor_, 0, SEEK_END)));
    const auto count = ::pread(descriptor_, bytes.data(), bytes.size(), 0);
    require(count == static_cast<::ssize_t>(bytes.size()), "a file in memory can be read");
    return bytes;
  }

private:
  int descriptor_;
  std::filesystem::path path_;
};

template <typename T>
[[nodiscard]] T number_at(const Bytes& bytes, std::size_t place) {
  T number{};
  if (place <= bytes.size() && bytes.size() - place >= sizeof number)
    std::memcpy(&number, bytes.data() + place, sizeof number);
  return number;
}
template <typename T>
void put_at(Bytes& bytes, std::size_t place, T number) {
  if (place <= bytes.size() && bytes.size() - place >= sizeof number)
    std::memcpy(bytes.data() + place, &number, sizeof number);
}

[[nodiscard]] inline std::uint32_t checksum_of(const Bytes& bytes, std::size_t begin, std::size_t end) {
  return crc32c(std::as_bytes(std::span{bytes}.subspan(begin, end - begin)));
}

/// Puts size and checksum of a checked file right.
inline void repair_checked_file(Bytes& file) {
  constexpr std::size_t header_size = CheckedFile::header_size;
  if (file.size() < header_size) return;
  put_at(file, 12, checksum_of(file, header_size, file.size()));
  put_at(file, 16, static_cast<std::uint64_t>(file.size() - header_size));
}

/// Replaces the text (u32 length, characters) that begins at `place`, and returns where the new one ends.
inline std::size_t replace_text(Bytes& file, std::size_t place, std::string_view text) {
  const std::size_t length = number_at<std::uint32_t>(file, place);
  if (place + 4 > file.size() || length > file.size() - place - 4) return file.size();
  const auto begin = file.begin() + static_cast<std::ptrdiff_t>(place + 4);
  file.erase(begin, begin + static_cast<std::ptrdiff_t>(length));
  file.insert(file.begin() + static_cast<std::ptrdiff_t>(place + 4), text.begin(), text.end());
  put_at(file, place, static_cast<std::uint32_t>(text.size()));
  return place + 4 + text.size();
}

}  // namespace icrl::fuzz
