// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <icrl/core/fail.hpp>
#include <icrl/core/file_descriptor.hpp>

namespace icrl {

namespace detail {

/// A file next to `path` to be renamed to it, which no other writer has, in this process or another. What a killed
/// writer has left is used again, so that such files do not pile up.
inline std::pair<FileDescriptor, std::filesystem::path> open_temporary_beside(const std::filesystem::path& path) {
  for (int number = 0;;) {
    const std::filesystem::path temporary = path.string() + ".tmp" + (number > 0 ? std::to_string(number) : "");
    FileDescriptor file{temporary, O_WRONLY | O_CREAT | O_NOFOLLOW, "cannot create"};
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) fail_with_errno("cannot lock", temporary);
      ++number;
      continue;
    }
    struct ::stat ours {
    }, named{};
    if (::fstat(file.get(), &ours) != 0) fail_with_errno("cannot read", temporary);
    const bool is_named = ::lstat(temporary.c_str(), &named) == 0;
    if (!is_named || named.st_ino != ours.st_ino || named.st_dev != ours.st_dev) continue;  // renamed in between
    if (::ftruncate(file.get(), 0) != 0) fail_with_errno("cannot cut", temporary);
    return {std::move(file), temporary};
  }
}

/// The file that a path stands for, links followed, if it may be replaced; throws Error if it may not.
inline std::filesystem::path replaceable(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::path target =
      std::filesystem::is_symlink(path, error) ? std::filesystem::weakly_canonical(path) : path;
  struct ::stat status {};
  if (::stat(target.c_str(), &status) != 0) return target;
  if (!S_ISREG(status.st_mode)) fail("cannot replace \"{}\": it is not a regular file", path.string());
  if (::access(target.c_str(), W_OK) != 0) fail_with_errno("cannot replace", path);
  return target;
}

}  // namespace detail

/// Replaces or creates a file so that, whatever happens, its path holds either the old bytes or all of the new ones:
/// temporary file in the same folder, fsync, rename, fsync of the folder. Links are followed, and the file keeps its
/// mode. Throws Error, and removes the temporary file, on failure, and where the path is something else than a file.
inline void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  const std::filesystem::path target = detail::replaceable(path);
  detail::Folder folder{target};
  const auto [file, temporary] = detail::open_temporary_beside(target);
  try {
    if (struct ::stat old{}; ::stat(target.c_str(), &old) == 0 && ::fchmod(file.get(), old.st_mode & 07777) != 0)
      detail::fail_with_errno("cannot set the mode of", temporary);
    detail::write_all(file.get(), bytes, temporary);
    if (::fsync(file.get()) != 0) detail::fail_with_errno("cannot sync", temporary);
    if (::rename(temporary.c_str(), target.c_str()) != 0) detail::fail_with_errno("cannot replace", path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  folder.sync();
}

}  // namespace icrl
