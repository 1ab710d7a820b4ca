// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>

#include <icrl/core/fail.hpp>
#include <icrl/core/os_file.hpp>

// Shared by the file headers: an open file and an open folder that close themselves.
namespace icrl::detail {

/// Throws Error with the reason that the system gives.
[[noreturn]] inline void fail_with_reason(const char* what, const std::filesystem::path& path) {
  const std::error_code reason = os::last_error();  // before anything else can change it
  fail("{} \"{}\": {}", what, path.string(), reason.message());
}

/// An open file that closes itself.
class FileDescriptor {
public:
  /// Throws Error, which begins with `what`, if the file cannot be opened.
  FileDescriptor(const std::filesystem::path& path, os::OpenMode mode, const char* what)
      : FileDescriptor{os::open(path, mode)} {
    if (!is_open()) fail_with_reason(what, path);
  }
  /// Takes ownership of an open file, or of os::no_file.
  explicit FileDescriptor(os::File file) : file_{file} {}
  ~FileDescriptor() {
    if (is_open()) os::close(file_);
  }
  FileDescriptor(FileDescriptor&& other) noexcept : file_{std::exchange(other.file_, os::no_file)} {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }
  [[nodiscard]] os::File get() const { return file_; }
  [[nodiscard]] bool is_open() const { return file_ != os::no_file; }

private:
  os::File file_;
};

/// What is known of an open file. Throws Error if the system does not tell.
[[nodiscard]] inline os::FileStatus status_of(const FileDescriptor& file, const std::filesystem::path& path) {
  const auto status = os::status(file.get());
  if (!status) fail_with_reason("cannot read", path);
  return *status;
}

inline void write_all(const FileDescriptor& file, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const auto written = os::write(file.get(), bytes.data(), bytes.size());
    if (written < 0) fail_with_reason("cannot write", path);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

/// The folder that contains a path; it can be synced.
class Folder {
public:
  /// Throws Error if the folder cannot be opened.
  explicit Folder(const std::filesystem::path& path)
      : path_{path.has_parent_path() ? path.parent_path() : "."}, opened_{os::open_folder(path_)} {
    if (!opened_.is_open()) fail_with_reason("cannot open the folder", path_);
  }

  /// Returns false on failure; see os::last_error.
  [[nodiscard]] bool try_sync() { return os::sync_folder(opened_.get()); }
  void sync() {
    if (!try_sync()) fail_with_reason("cannot sync the folder", path_);
  }

private:
  std::filesystem::path path_;
  FileDescriptor opened_;
};

}  // namespace icrl::detail
