// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <icrl/core/fail.hpp>

// Files that lose nothing (POSIX): mapped reading, atomic replacement, appending under a lock.
namespace icrl {
namespace detail {

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
  /// Takes over what is open already.
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

/// The folder that a path lies in, which can be synced.
class Folder {
public:
  explicit Folder(const std::filesystem::path& path)
      : path_{path.has_parent_path() ? path.parent_path() : "."},
        opened_{path_, O_RDONLY | O_DIRECTORY, "cannot open the folder"} {}

  void sync() {
    if (::fsync(opened_.get()) != 0 && errno != EINVAL) fail_with_errno("cannot sync the folder", path_);
  }

private:
  std::filesystem::path path_;
  FileDescriptor opened_;
};

}  // namespace detail

/// In which order a mapped file is read: in a `random` one the system reads what is looked at, in an `ascending` one
/// also what follows.
enum class ReadOrder { ascending, random };

/// A whole file as read-only memory. Movable, not copyable; an empty file is an empty span.
class MappedFile {
public:
  explicit MappedFile(const std::filesystem::path& path, ReadOrder order = ReadOrder::ascending) {
    const detail::FileDescriptor file{path, O_RDONLY | O_NONBLOCK, "cannot open"};  // a pipe must not hold us up
    struct ::stat status {};
    if (::fstat(file.get(), &status) != 0) detail::fail_with_errno("cannot read", path);
    if (!S_ISREG(status.st_mode)) fail("cannot read \"{}\": it is not a regular file", path.string());
    size_ = static_cast<std::size_t>(status.st_size);
    if (size_ == 0) return;
    data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (data_ == MAP_FAILED) {
      data_ = nullptr;
      detail::fail_with_errno("cannot map", path);
    }
    if (order != ReadOrder::ascending) expect(order);
  }
  ~MappedFile() {
    if (data_ != nullptr) ::munmap(data_, size_);
  }
  MappedFile(MappedFile&& other) noexcept
      : data_{std::exchange(other.data_, nullptr)}, size_{std::exchange(other.size_, 0)} {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  [[nodiscard]] std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }

  /// Advice to the system: without it reading is only slower.
  void expect(ReadOrder order) const { expect(order, bytes()); }
  /// The same for a part of the file: all pages that it touches.
  void expect(ReadOrder order, std::span<const std::byte> part) const {
    if (part.empty()) return;
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const auto offset = static_cast<std::size_t>(part.data() - static_cast<const std::byte*>(data_)),
               before = offset % page;
    (void)::posix_madvise(static_cast<std::byte*>(data_) + (offset - before), part.size() + before,
                          order == ReadOrder::random ? POSIX_MADV_RANDOM : POSIX_MADV_NORMAL);
  }

private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

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

/// A file that is written at its end only. One writer at a time: a second one, in this process or another, gets an
/// Error. A forked child that appends through its copy gets an Error and must open the file itself. The parent's
/// destructor releases the lock even while children hold the descriptor.
class AppendFile {
public:
  explicit AppendFile(const std::filesystem::path& path)
      : path_{path}, file_{path, O_RDWR | O_CREAT | O_APPEND, "cannot open for appending"} {
    if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) fail("cannot append to \"{}\": another writer has it open", path.string());
      detail::fail_with_errno("cannot lock", path);
    }
    if (size() == 0) detail::Folder{path}.sync();  // a new name has to reach the disk as well
  }
  /// The lock belongs to the open file, which forked processes share: closing it here would not be enough.
  ~AppendFile() {
    if (file_.get() >= 0 && is_owner()) ::flock(file_.get(), LOCK_UN);
  }
  AppendFile(AppendFile&&) = default;
  AppendFile& operator=(AppendFile&& other) noexcept {
    if (this == &other) return *this;
    const AppendFile old{std::move(*this)};  // gives its file free at the end of this, if this process owns it
    path_ = std::move(other.path_);
    file_ = std::move(other.file_);
    owner_ = other.owner_;
    whole_size_ = other.whole_size_;
    is_torn_ = other.is_torn_;
    return *this;
  }

  [[nodiscard]] std::uint64_t size() const {
    struct ::stat status {};
    if (::fstat(file_.get(), &status) != 0) detail::fail_with_errno("cannot read", path_);
    return static_cast<std::uint64_t>(status.st_size);
  }

  /// The last byte of the file, if it has one.
  [[nodiscard]] std::optional<std::byte> last_byte() const {
    std::byte last{};
    const std::uint64_t end = size();
    if (end == 0) return std::nullopt;
    if (::pread(file_.get(), &last, 1, static_cast<::off_t>(end - 1)) != 1)
      detail::fail_with_errno("cannot read", path_);
    return last;
  }

  /// All of it, or an Error and the file cut back to what it was, at the latest by the next call.
  void append(std::span<const std::byte> bytes) {
    expect_owner();
    if (is_torn_) truncate(whole_size_);
    is_torn_ = false;
    whole_size_ = size();
    try {
      detail::write_all(file_.get(), bytes, path_);
    } catch (...) {
      is_torn_ = ::ftruncate(file_.get(), static_cast<::off_t>(whole_size_)) != 0;
      throw;  // says why it could not be written
    }
  }

  void truncate(std::uint64_t size) {
    expect_owner();
    if (::ftruncate(file_.get(), static_cast<::off_t>(size)) != 0) detail::fail_with_errno("cannot cut", path_);
  }

  /// Returns once everything appended is on the disk.
  void sync() {
    if (::fsync(file_.get()) != 0) detail::fail_with_errno("cannot sync", path_);
  }

private:
  [[nodiscard]] bool is_owner() const { return owner_ == ::getpid(); }
  void expect_owner() const {
    if (is_owner()) return;
    fail("cannot append to \"{}\": process {} has it open, this is process {}, forked from it (open it here)",
         path_.string(), owner_, ::getpid());
  }

  std::filesystem::path path_;
  detail::FileDescriptor file_;
  ::pid_t owner_ = ::getpid();
  std::uint64_t whole_size_ = 0;  // before the last append
  bool is_torn_ = false;          // a part of it is still there
};

}  // namespace icrl
