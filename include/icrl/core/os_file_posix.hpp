// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <system_error>

#if !defined(_WIN32)
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

#include <icrl/core/os_file.hpp>

#if !defined(_WIN32)
namespace icrl::os {

using File = int;                    ///< an open file
inline constexpr File no_file = -1;  ///< not one

/// Why the last call failed.
[[nodiscard]] inline std::error_code last_error() { return {errno, std::generic_category()}; }
/// Whether it failed because a name exists already.
[[nodiscard]] inline bool failed_on_existing() { return errno == EEXIST; }

/// `no_file` on failure. Reading does not wait for a pipe.
[[nodiscard]] inline File open(const std::filesystem::path& path, OpenMode mode) {
  switch (mode) {
    case OpenMode::read:
      return ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    case OpenMode::append:
      return ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    case OpenMode::create_new:
      return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    default:
      return ::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  }
}
inline void close(File file) { ::close(file); }

namespace detail {

[[nodiscard]] inline FileStatus status_from(const struct ::stat& found) {
  return {.is_regular = S_ISREG(found.st_mode),
          .is_own = found.st_uid == ::geteuid(),
          .is_link = S_ISLNK(found.st_mode),
          .size = static_cast<std::uint64_t>(found.st_size),
          .link_count = static_cast<std::uint64_t>(found.st_nlink),
          .volume = static_cast<std::uint64_t>(found.st_dev),
          .id = static_cast<std::uint64_t>(found.st_ino)};
}

}  // namespace detail

/// None on failure.
[[nodiscard]] inline std::optional<FileStatus> status(File file) {
  struct ::stat found {};
  if (::fstat(file, &found) != 0) return std::nullopt;
  return detail::status_from(found);
}
/// Of what has this name, with links followed or not. None on failure.
[[nodiscard]] inline std::optional<FileStatus> status(const std::filesystem::path& path, bool follow) {
  struct ::stat found {};
  if ((follow ? ::stat(path.c_str(), &found) : ::lstat(path.c_str(), &found)) != 0) return std::nullopt;
  return detail::status_from(found);
}
/// Whether this process may write to an existing file.
[[nodiscard]] inline bool is_writable(const std::filesystem::path& path) { return ::access(path.c_str(), W_OK) == 0; }
/// Gives a file the access rights of another one.
[[nodiscard]] inline bool copy_permissions(const std::filesystem::path& from, File to) {
  struct ::stat found {};
  return ::stat(from.c_str(), &found) != 0 || ::fchmod(to, found.st_mode & 07777) == 0;
}

/// Bytes written, which may be fewer than `size`; negative on failure.
[[nodiscard]] inline std::int64_t write(File file, const std::byte* bytes, std::size_t size) {
  ::ssize_t written;
  do {
    written = ::write(file, bytes, size);
  } while (written < 0 && errno == EINTR);
  return written;
}
/// Reads one byte; false on failure.
[[nodiscard]] inline bool read_byte(File file, std::uint64_t offset, std::byte& byte) {
  return ::pread(file, &byte, 1, static_cast<::off_t>(offset)) == 1;
}
[[nodiscard]] inline bool truncate(File file, std::uint64_t size) {
  return ::ftruncate(file, static_cast<::off_t>(size)) == 0;
}
/// Returns when everything written is on disk; false on failure.
[[nodiscard]] inline bool sync(File file) { return ::fsync(file) == 0; }

/// Locks a file against other processes, and against others who open it in this one; does not wait.
[[nodiscard]] inline LockOutcome lock(File file) {
  if (::flock(file, LOCK_EX | LOCK_NB) == 0) return LockOutcome::locked;
  if (errno == EWOULDBLOCK) return LockOutcome::taken;
  if (errno == ENOSYS || errno == EOPNOTSUPP || errno == ENOLCK) return LockOutcome::unsupported;
  return LockOutcome::failed;
}
inline void unlock(File file) { ::flock(file, LOCK_UN); }

/// Gives a file another name in one step, and replaces what had that name.
[[nodiscard]] inline bool replace(const std::filesystem::path& from, const std::filesystem::path& to) {
  return ::rename(from.c_str(), to.c_str()) == 0;
}
inline void remove(const std::filesystem::path& path) { ::unlink(path.c_str()); }

/// Opens a folder so that it can be synced; `no_file` on failure.
[[nodiscard]] inline File open_folder(const std::filesystem::path& path) {
  return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}
/// Returns when the names in a folder are on disk, or where folders cannot be synced; false on failure.
[[nodiscard]] inline bool sync_folder(File folder) { return ::fsync(folder) == 0 || errno == EINVAL; }

/// A file's first `size` > 0 bytes as read-only memory; null on failure.
[[nodiscard]] inline const std::byte* map(File file, std::size_t size) {
  void* const bytes = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  return bytes == MAP_FAILED ? nullptr : static_cast<const std::byte*>(bytes);
}
inline void unmap(const std::byte* bytes, std::size_t size) { ::munmap(const_cast<std::byte*>(bytes), size); }

/// Bytes of a page of memory.
[[nodiscard]] inline std::size_t page_size() {
  static const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}
/// Tell how mapped pages will be read; `bytes` begins a page. They affect only speed.
inline void expect_random_reads(const std::byte* bytes, std::size_t size) {
  (void)::posix_madvise(const_cast<std::byte*>(bytes), size, POSIX_MADV_RANDOM);
}
inline void expect_any_reads(const std::byte* bytes, std::size_t size) {
  (void)::posix_madvise(const_cast<std::byte*>(bytes), size, POSIX_MADV_NORMAL);
}
inline void prefetch(const std::byte* bytes, std::size_t size) {
  (void)::posix_madvise(const_cast<std::byte*>(bytes), size, POSIX_MADV_WILLNEED);
}

}  // namespace icrl::os
#endif
