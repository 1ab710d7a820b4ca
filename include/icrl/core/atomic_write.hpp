// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include <icrl/core/fail.hpp>
#include <icrl/core/file_descriptor.hpp>
#include <icrl/core/os_file.hpp>
#include <icrl/core/os_process.hpp>

namespace icrl {

namespace detail {

/// The name of a temporary file next to `path`: hidden, and no longer than names may be.
inline std::filesystem::path temporary_name(const std::filesystem::path& path, int number) {
  const std::string whole = path.filename().string();
  std::size_t cut = std::min<std::size_t>(whole.size(), 200);
  while (cut > 0 && cut < whole.size() && (static_cast<unsigned char>(whole[cut]) & 0xC0) == 0x80) --cut;  // UTF-8
  const std::string name = "." + whole.substr(0, cut) + ".icrl-tmp";
  return path.parent_path() / (number > 0 ? name + std::to_string(number) : name);
}

/// A temporary file that has been opened.
struct Temporary {
  FileDescriptor file;
  bool is_new;  ///< else a writer may have left it
};

/// Opens a new temporary file, or one that a killed writer may have left: a regular file of this user with only one
/// name. If the name belongs to anything else, that is left as it is, and the result is os::no_file.
inline Temporary open_temporary(const std::filesystem::path& temporary) {
  FileDescriptor created{os::open(temporary, os::OpenMode::create_new)};
  if (created.is_open()) return {std::move(created), true};
  if (!os::failed_on_existing()) fail_with_reason("cannot create", temporary);
  FileDescriptor left{os::open(temporary, os::OpenMode::reuse)};
  const auto status = left.is_open() ? os::status(left.get()) : std::nullopt;
  const bool is_ours = status && status->is_regular && !status->is_link && status->link_count == 1 && status->is_own;
  return {is_ours ? std::move(left) : FileDescriptor{os::no_file}, false};
}

/// For file systems without locks: a new file under a name that only this process uses.
inline std::pair<FileDescriptor, std::filesystem::path> open_unlocked_beside(const std::filesystem::path& path) {
  for (int number = 0;; ++number) {
    std::filesystem::path temporary = temporary_name(path, 0);
    temporary += fmt::format("-{}-{}", os::process_id(), number);
    FileDescriptor file{os::open(temporary, os::OpenMode::create_new)};
    if (file.is_open()) return {std::move(file), std::move(temporary)};
    if (!os::failed_on_existing()) fail_with_reason("cannot create", temporary);
  }
}

/// A new temporary file next to `path`, to be renamed to it. No other writer has it open, in this process or another. A
/// file that a killed writer left is removed, so that such files do not accumulate, except if the file system has no
/// locks.
inline std::pair<FileDescriptor, std::filesystem::path> open_temporary_beside(const std::filesystem::path& path) {
  constexpr int most = 10'000;
  for (int number = 0; number < most;) {
    const std::filesystem::path temporary = temporary_name(path, number);
    auto [file, is_new] = open_temporary(temporary);
    if (!file.is_open()) {
      ++number;
      continue;
    }
    const os::LockOutcome lock = os::lock(file.get());
    if (lock == os::LockOutcome::failed) fail_with_reason("cannot lock", temporary);
    if (lock == os::LockOutcome::unsupported) {
      os::remove(temporary);
      return open_unlocked_beside(path);
    }
    if (lock == os::LockOutcome::taken) {
      ++number;
      continue;
    }
    const os::FileStatus ours = status_of(file, temporary);
    const auto named = os::status(temporary, /*follow*/ false);
    if (!named || named->id != ours.id || named->volume != ours.volume) continue;  // renamed meanwhile
    if (is_new) return {std::move(file), temporary};
    os::remove(temporary);  // its access rights may be others than those of a new file
    ++number;
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
  const auto status = os::status(target, /*follow*/ true);
  if (!status) return target;
  if (!status->is_regular) fail("cannot replace \"{}\": it is not a regular file", path.string());
  if (!os::is_writable(target)) fail_with_reason("cannot replace", path);
  return target;
}

}  // namespace detail

/// Replaces or creates a file atomically: whatever happens, the path holds either the old bytes or all of the new ones.
/// Writes a temporary file in the same folder (".NAME.icrl-tmp"), syncs it, renames it and syncs the folder. Follows
/// links and keeps the mode of the file. On Windows, a file that is open cannot be replaced. On failure, or if the path
/// is not a regular file, throws Error and removes the temporary file. If only the last step fails, the Error says that
/// the file was replaced.
inline void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  const std::filesystem::path target = detail::replaceable(path);
  detail::Folder folder{target};
  const auto [file, temporary] = detail::open_temporary_beside(target);
  try {
    if (!os::copy_permissions(target, file.get())) detail::fail_with_reason("cannot set the mode of", temporary);
    detail::write_all(file, bytes, temporary);
    if (!os::sync(file.get())) detail::fail_with_reason("cannot sync", temporary);
    if (!os::replace(temporary, target)) detail::fail_with_reason("cannot replace", path);
  } catch (...) {
    os::remove(temporary);
    throw;
  }
  if (!folder.try_sync()) {
    fail("\"{}\" was replaced, but its folder could not be synced to disk: {}", path.string(),
         os::last_error().message());
  }
}

}  // namespace icrl
