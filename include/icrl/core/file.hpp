// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <icrl/core/atomic_write.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/core/file_descriptor.hpp>
#include <icrl/core/os_file.hpp>
#include <icrl/core/os_process.hpp>

// Robust file access: mapped reading, atomic replacement, appending under a lock.
namespace icrl {

/// Access pattern of a mapped file. With `random` the system reads only what is accessed; with `ascending` it also
/// reads ahead.
enum class ReadOrder { ascending, random };

/// A whole file as read-only memory. Movable, not copyable; an empty file is an empty span.
class MappedFile {
public:
  /// Throws Error if the file cannot be opened or mapped, and for what is not a regular file.
  explicit MappedFile(const std::filesystem::path& path, ReadOrder order = ReadOrder::ascending) {
    const detail::FileDescriptor file{path, os::OpenMode::read, "cannot open"};
    const os::FileStatus status = detail::status_of(file, path);
    if (!status.is_regular) fail("cannot read \"{}\": it is not a regular file", path.string());
    size_ = static_cast<std::size_t>(status.size);
    if (size_ == 0) return;
    data_ = os::map(file.get(), size_);
    if (data_ == nullptr) detail::fail_with_reason("cannot map", path);
    if (order != ReadOrder::ascending) expect(order);
  }
  ~MappedFile() {
    if (data_ != nullptr) os::unmap(data_, size_);
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
  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }

  /// Tells the system how the file will be read. Affects only speed.
  void expect(ReadOrder order) const { expect(order, bytes()); }
  /// The same for a part of the file, rounded out to whole pages.
  void expect(ReadOrder order, std::span<const std::byte> part) const {
    if (part.empty()) return;
    const std::size_t before = static_cast<std::size_t>(part.data() - data_) % os::page_size();
    const auto expect_reads = order == ReadOrder::random ? os::expect_random_reads : os::expect_any_reads;
    expect_reads(part.data() - before, part.size() + before);
  }

private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// A file that only grows at its end. It has one writer at a time: a second one, in this process or another, gets an
/// Error. A forked child that appends through its copy gets an Error and must open the file itself. The parent's
/// destructor releases the lock even if children still have the descriptor. If the parent was killed, the lock lasts
/// until all processes forked from it have ended. On Windows nothing forks.
class AppendFile {
public:
  /// Opens the file, or makes an empty one, and locks it. Throws Error if that fails or another writer has the lock.
  explicit AppendFile(const std::filesystem::path& path)
      : path_{path}, file_{path, os::OpenMode::append, "cannot open for appending"} {
    const os::LockOutcome lock = os::lock(file_.get());
    if (lock == os::LockOutcome::taken) {
      fail("cannot append to \"{}\": another writer has it open (or a process that was forked from a killed writer)",
           path.string());
    }
    if (lock != os::LockOutcome::locked) detail::fail_with_reason("cannot lock", path);
    if (size() == 0) detail::Folder{path}.sync();  // the name of a new file must reach the disk as well
  }
  /// Forked processes share the open file and its lock, so closing it here would not release the lock.
  ~AppendFile() {
    if (file_.is_open() && is_owner()) os::unlock(file_.get());
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
  [[nodiscard]] std::uint64_t size() const { return detail::status_of(file_, path_).size; }

  /// The last byte of the file, if it has one.
  [[nodiscard]] std::optional<std::byte> last_byte() const {
    std::byte last{};
    const std::uint64_t end = size();
    if (end == 0) return std::nullopt;
    if (!os::read_byte(file_.get(), end - 1, last)) detail::fail_with_reason("cannot read", path_);
    return last;
  }

  /// Appends all bytes. On failure, throws Error and truncates the file to its previous size, at the latest in the next
  /// call.
  void append(std::span<const std::byte> bytes) {
    check_owner();
    if (is_torn_) truncate(whole_size_);
    whole_size_ = size();
    try {
      detail::write_all(file_, bytes, path_);
    } catch (...) {
      is_torn_ = !os::truncate(file_.get(), whole_size_);
      throw;  // the Error says why it could not be written
    }
  }

  /// Cuts the file to `size` bytes, for what is found to be damaged at its end. Throws Error if that fails.
  void truncate(std::uint64_t size) {
    check_owner();
    if (!os::truncate(file_.get(), size)) detail::fail_with_reason("cannot truncate", path_);
    is_torn_ = false;
  }

  /// Returns when everything appended is on disk.
  void sync() {
    if (!os::sync(file_.get())) detail::fail_with_reason("cannot sync", path_);
  }

private:
  [[nodiscard]] bool is_owner() const { return owner_ == os::process_id(); }
  void check_owner() const {
    if (is_owner()) return;
    fail(
        "cannot append to \"{}\": process {} opened it, and this is process {}, which was forked from it (open the "
        "file again in this process)",
        path_.string(), owner_, os::process_id());
  }

  std::filesystem::path path_;
  detail::FileDescriptor file_;
  std::int64_t owner_ = os::process_id();
  std::uint64_t whole_size_ = 0;  // before the last append
  bool is_torn_ = false;          // a part of the failed append is still in the file
};

}  // namespace icrl
