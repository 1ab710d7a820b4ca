// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

#include <icrl/core/target.hpp>

// What icrl asks of the operating system for its files, their locks and mappings. One of the two headers below has the
// functions; both have the same ones. See os_process.hpp for the process.
namespace icrl::os {

/// How `open` opens a file. Files are never passed on to programs that are started.
enum class OpenMode {
  read,        ///< an existing file
  append,      ///< for reading and for writing at its end; made if it is missing
  create_new,  ///< for writing; fails if the name exists, even as a link
  reuse        ///< for writing from its start on; fails if it is missing or a link
};

/// What is known of an open file or of a name.
struct FileStatus {
  bool is_regular = false;           ///< a file, not a folder, device or pipe
  bool is_own = false;               ///< belongs to this user; on Windows, where a user's folders are private, always
  bool is_link = false;              ///< stands for another file; on Windows also for one that is kept elsewhere
  std::uint64_t size = 0;            ///< bytes
  std::uint64_t link_count = 0;      ///< names of the file
  std::uint64_t volume = 0, id = 0;  ///< the same file if both are equal
};

/// What came of the attempt to lock a file.
enum class LockOutcome {
  locked,       ///< by this process
  taken,        ///< another one has it
  unsupported,  ///< the file system has no locks
  failed        ///< see `last_error`
};

}  // namespace icrl::os

#if defined(_WIN32)
#include <icrl/core/os_file_windows.hpp>
#else
#include <icrl/core/os_file_posix.hpp>
#endif
