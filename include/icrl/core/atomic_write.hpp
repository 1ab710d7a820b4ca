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

/// The name of a temporary file next to `path`: hidden, and no longer than names may be.
inline std::filesystem::path temporary_name(const std::filesystem::path& path, int number) {
  const std::string name = "." + path.filename().string().substr(0, 200) + ".icrl-tmp";
  return path.parent_path() / (number > 0 ? name + std::to_string(number) : name);
}

/// Opens a new temporary file, or reuses one that a killed writer may have left: a regular file of this user with only
/// one name. Leaves anything else with that name alone and returns a negative descriptor.
inline FileDescriptor open_temporary(const std::filesystem::path& temporary) {
  constexpr int flags = O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;  // do not follow a link or wait for a pipe
  FileDescriptor created{::open(temporary.c_str(), flags | O_CREAT | O_EXCL, 0666)};
  if (created.get() >= 0) return created;
  if (errno != EEXIST) fail_with_errno("cannot create", temporary);
  FileDescriptor left{::open(temporary.c_str(), flags)};
  struct ::stat status {};
  const bool is_ours = left.get() >= 0 && ::fstat(left.get(), &status) == 0 && S_ISREG(status.st_mode) &&
                       status.st_nlink == 1 && status.st_uid == ::geteuid();
  return is_ours ? std::move(left) : FileDescriptor{-1};
}

/// For file systems without locks: a new file under a name that only this process uses.
inline std::pair<FileDescriptor, std::filesystem::path> open_unlocked_beside(const std::filesystem::path& path) {
  for (int number = 0;; ++number) {
    std::filesystem::path temporary = temporary_name(path, 0);
    temporary += fmt::format("-{}-{}", ::getpid(), number);
    FileDescriptor file{::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)};
    if (file.get() >= 0) return {std::move(file), std::move(temporary)};
    if (errno != EEXIST) fail_with_errno("cannot create", temporary);
  }
}

/// A temporary file next to `path`, to be renamed to it. No other writer has it open, in this process or another. A
/// file that a killed writer left is reused, so that such files do not accumulate, except if the file system has no
/// locks.
inline std::pair<FileDescriptor, std::filesystem::path> open_temporary_beside(const std::filesystem::path& path) {
  constexpr int most = 10'000;
  for (int number = 0; number < most;) {
    const std::filesystem::path temporary = temporary_name(path, number);
    FileDescriptor file = open_temporary(temporary);
    if (file.get() < 0) {
      ++number;
      continue;
    }
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == ENOSYS || errno == EOPNOTSUPP || errno == ENOLCK) {
        ::unlink(temporary.c_str());
        return open_unlocked_beside(path);
      }
      if (errno != EWOULDBLOCK) fail_with_errno("cannot lock", temporary);
      ++number;
      continue;
    }
    struct ::stat ours {
    }, named{};
    if (::fstat(file.get(), &ours) != 0) fail_with_errno("cannot read", temporary);
    const bool is_named = ::lstat(temporary.c_str(), &named) == 0;
    if (!is_named || named.st_ino != ours.st_ino || named.st_dev != ours.st_dev) continue;  // renamed meanwhile
    if (::ftruncate(file.get(), 0) != 0) fail_with_errno("cannot truncate", temporary);
    return {std::move(file), temporary};
  }
  fail("cannot create a temporary file next to \"{}\": all {} names from \"{}\" on exist already (remove old ones)",
       path.string(), most, temporary_name(path, 0).string());
}

/// Follows symbolic links, also to a file that does not exist yet. Throws Error for an endless chain of links.
inline std::filesystem::path follow_links(const std::filesystem::path& path) {
  constexpr int most = 40;  // as on Linux
  std::filesystem::path target = path;
  for (int step = 0; step <= most; ++step) {
    std::error_code error;
    if (!std::filesystem::is_symlink(target, error)) return target;
    const std::filesystem::path next = std::filesystem::read_symlink(target, error);
    if (error) fail("cannot replace \"{}\": {}", path.string(), error.message());
    target = target.parent_path() / next;  // or just `next` if that is absolute
  }
  fail("cannot replace \"{}\": its chain of symbolic links is too long (is there a loop?)", path.string());
}

/// The file that a path refers to, with links followed. Throws Error if that file may not be replaced.
inline std::filesystem::path replaceable(const std::filesystem::path& path) {
  std::filesystem::path target = follow_links(path);
  struct ::stat status {};
  if (::stat(target.c_str(), &status) != 0) return target;
  if (!S_ISREG(status.st_mode)) fail("cannot replace \"{}\": it is not a regular file", path.string());
  if (::access(target.c_str(), W_OK) != 0) fail_with_errno("cannot replace", path);
  return target;
}

}  // namespace detail

/// Replaces or creates a file atomically: whatever happens, the path holds either the old bytes or all of the new ones.
/// Writes a temporary file in the same folder (".NAME.icrl-tmp"), syncs it, renames it and syncs the folder. Follows
/// links and keeps the mode of the file. On failure, or if the path is not a regular file, throws Error and removes the
/// temporary file. If only the last step fails, the Error says that the file was replaced.
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
  if (!folder.try_sync()) {
    fail("\"{}\" was replaced, but its folder could not be synced to disk: {}", path.string(),
         std::generic_category().message(errno));
  }
}

}  // namespace icrl
