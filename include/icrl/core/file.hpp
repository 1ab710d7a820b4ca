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
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <icrl/core/atomic_write.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/core/file_descriptor.hpp>

// Robust file access (POSIX): mapped reading, atomic replacement, appending under a lock.
namespace icrl {

/// Access pattern of a mapped file. With `random` the system reads only what is accessed; with `ascending` it also
/// reads ahead.
enum class ReadOrder { ascending, random };

/// A whole file as read-only memory. Movable, not copyable; an empty file is an empty span.
class MappedFile {
public:
  /// Throws Error if the file cannot be opened or mapped, and for what is not a regular file.
  explicit MappedFile(const std::filesystem::path& path, ReadOrder order = ReadOrder::ascending) {
    const detail::FileDescriptor file{path, O_RDONLY | O_NONBLOCK, "cannot open"};  // do not wait for a pipe
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
  /// Takes over the mapping, and leaves an empty span.
  MappedFile(MappedFile&& other) noexcept
      : data_{std::exchange(other.data_, nullptr)}, size_{std::exchange(other.size_, 0)} {}
  /// Exchanges the mappings.
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  /// The content; valid as long as this object, or the one that it was moved to, exists.
  [[nodiscard]] std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }

  /// Tells the system how the file will be read. Affects only speed.
  void expect(ReadOrder order) const { expect(order, bytes()); }
  /// The same for a part of the file, rounded out to whole pages.
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

/// A file that only grows at its end. It has one writer at a time: a second one, in this process or another, gets an
/// Error. A forked child that appends through its copy gets an Error and must open the file itself. The parent's
/// destructor releases the lock even if children still have the descriptor. If the parent was killed, the lock lasts
/// until all processes forked from it have ended.
class AppendFile {
public:
  /// Opens the file, or makes an empty one, and locks it. Throws Error if that fails or another writer has the lock.
  explicit AppendFile(const std::filesystem::path& path)
      : path_{path}, file_{path, O_RDWR | O_CREAT | O_APPEND, "cannot open for appending"} {
    if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) {
        fail("cannot append to \"{}\": another writer has it open (or a process that was forked from a killed writer)",
             path.string());
      }
      detail::fail_with_errno("cannot lock", path);
    }
    if (size() == 0) detail::Folder{path}.sync();  // the name of a new file must reach the disk as well
  }
  /// Forked processes share the open file and its lock, so closing it here would not release the lock.
  ~AppendFile() {
    if (file_.get() >= 0 && is_owner()) ::flock(file_.get(), LOCK_UN);
  }
  /// Takes over the file and its lock.
  AppendFile(AppendFile&&) = default;
  /// Closes its own file, with its lock, and takes over the other one.
  AppendFile& operator=(AppendFile&& other) noexcept {
    if (this == &other) return *this;
    const AppendFile old{std::move(*this)};  // releases its lock at the end of this function, if this process owns it
    path_ = std::move(other.path_);
    file_ = std::move(other.file_);
    owner_ = other.owner_;
    whole_size_ = other.whole_size_;
    is_torn_ = other.is_torn_;
    return *this;
  }

  /// Bytes of the file. Throws Error if the system does not tell.
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

  /// Appends all bytes. On failure, throws Error and truncates the file to its previous size, at the latest in the next
  /// call.
  void append(std::span<const std::byte> bytes) {
    check_owner();
    if (is_torn_) truncate(whole_size_);
    whole_size_ = size();
    try {
      detail::write_all(file_.get(), bytes, path_);
    } catch (...) {
      is_torn_ = ::ftruncate(file_.get(), static_cast<::off_t>(whole_size_)) != 0;
      throw;  // the Error says why it could not be written
    }
  }

  /// Cuts the file to `size` bytes, for what is found to be damaged at its end. Throws Error if that fails.
  void truncate(std::uint64_t size) {
    check_owner();
    if (::ftruncate(file_.get(), static_cast<::off_t>(size)) != 0) detail::fail_with_errno("cannot truncate", path_);
    is_torn_ = false;
  }

  /// Returns when everything appended is on disk.
  void sync() {
    if (::fsync(file_.get()) != 0) detail::fail_with_errno("cannot sync", path_);
  }

private:
  [[nodiscard]] bool is_owner() const { return owner_ == ::getpid(); }
  void check_owner() const {
    if (is_owner()) return;
    fail(
        "cannot append to \"{}\": process {} opened it, and this is process {}, which was forked from it (open the "
        "file again in this process)",
        path_.string(), owner_, ::getpid());
  }

  std::filesystem::path path_;
  detail::FileDescriptor file_;
  ::pid_t owner_ = ::getpid();
  std::uint64_t whole_size_ = 0;  // before the last append
  bool is_torn_ = false;          // a part of the failed append is still in the file
};

}  // namespace icrl
