// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include <icrl/core/fail.hpp>

// Shared by the file headers (POSIX): an open file, an open folder, and errors with the reason given by the system.
namespace icrl::detail {

[[noreturn]] inline void fail_with_errno(const char* what, const std::filesystem::path& path) {
  fail("{} \"{}\": {}", what, path.string(), std::generic_category().message(errno));
}

/// An open file that closes itself.
class FileDescriptor {
public:
  FileDescriptor(const std::filesystem::path& path, int flags, const char* what)
      : descriptor_{::open(path.c_str(), flags | O_CLOEXEC, 0666)} {
    if (descriptor_ < 0) fail_with_errno(what, path);
  }
  /// Takes ownership of an open descriptor.
  explicit FileDescriptor(int descriptor) : descriptor_{descriptor} {}
  ~FileDescriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  FileDescriptor(FileDescriptor&& other) noexcept : descriptor_{std::exchange(other.descriptor_, -1)} {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  [[nodiscard]] int get() const { return descriptor_; }

private:
  int descriptor_;
};

inline void write_all(int descriptor, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ::ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_with_errno("cannot write", path);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

/// The folder that contains a path; it can be synced.
class Folder {
public:
  explicit Folder(const std::filesystem::path& path)
      : path_{path.has_parent_path() ? path.parent_path() : "."},
        opened_{path_, O_RDONLY | O_DIRECTORY, "cannot open the folder"} {}

  /// Returns false and sets errno on failure.
  [[nodiscard]] bool try_sync() { return ::fsync(opened_.get()) == 0 || errno == EINVAL; }
  void sync() {
    if (!try_sync()) fail_with_errno("cannot sync the folder", path_);
  }

private:
  std::filesystem::path path_;
  FileDescriptor opened_;
};

}  // namespace icrl::detail
