// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <system_error>

#include <icrl/core/os_file.hpp>

#if defined(_WIN32)

// The few functions of the system that are needed, declared as windows.h declares them, so that a program may include
// that as well. It is not included here because of its macros, such as near, far and small.
extern "C" {
struct _OVERLAPPED;
struct _SECURITY_ATTRIBUTES;
struct _BY_HANDLE_FILE_INFORMATION;
__declspec(dllimport) void* __stdcall CreateFileW(const wchar_t*, unsigned long, unsigned long, _SECURITY_ATTRIBUTES*,
                                                  unsigned long, unsigned long, void*);
__declspec(dllimport) int __stdcall CloseHandle(void*);
__declspec(dllimport) int __stdcall GetFileInformationByHandle(void*, _BY_HANDLE_FILE_INFORMATION*);
__declspec(dllimport) unsigned long __stdcall GetFileType(void*);
__declspec(dllimport) int __stdcall WriteFile(void*, const void*, unsigned long, unsigned long*, _OVERLAPPED*);
__declspec(dllimport) int __stdcall ReadFile(void*, void*, unsigned long, unsigned long*, _OVERLAPPED*);
__declspec(dllimport) unsigned long __stdcall SetFilePointer(void*, long, long*, unsigned long);
__declspec(dllimport) int __stdcall SetEndOfFile(void*);
__declspec(dllimport) int __stdcall FlushFileBuffers(void*);
__declspec(dllimport) int __stdcall LockFileEx(void*, unsigned long, unsigned long, unsigned long, unsigned long,
                                               _OVERLAPPED*);
__declspec(dllimport) int __stdcall UnlockFileEx(void*, unsigned long, unsigned long, unsigned long, _OVERLAPPED*);
__declspec(dllimport) int __stdcall MoveFileExW(const wchar_t*, const wchar_t*, unsigned long);
__declspec(dllimport) int __stdcall DeleteFileW(const wchar_t*);
__declspec(dllimport) unsigned long __stdcall GetFileAttributesW(const wchar_t*);
__declspec(dllimport) void* __stdcall CreateFileMappingW(void*, _SECURITY_ATTRIBUTES*, unsigned long, unsigned long,
                                                         unsigned long, const wchar_t*);
__declspec(dllimport) void* __stdcall MapViewOfFile(void*, unsigned long, unsigned long, unsigned long, std::size_t);
__declspec(dllimport) int __stdcall UnmapViewOfFile(const void*);
__declspec(dllimport) unsigned long __stdcall GetLastError();
__declspec(dllimport) void __stdcall SetLastError(unsigned long);
}

namespace icrl::os {

using File = void*;                       ///< an open file
inline constexpr File no_file = nullptr;  ///< not one

namespace detail {

// As in windows.h, whose names are macros.
inline constexpr unsigned long read_access = 0x80000000, write_access = 0x40000000;
inline constexpr unsigned long share_all = 1 | 2 | 4;  // with renaming and removing an open file, as on POSIX
inline constexpr unsigned long always_open = 4, only_create = 1, only_open = 3;
inline constexpr unsigned long folder_flag = 0x02000000, link_flag = 0x00200000, link_attribute = 0x400;
inline constexpr unsigned long folder_attribute = 0x10, read_only_attribute = 1, no_attributes = 0xffffffff;

/// OVERLAPPED: where in a file to read, write or lock.
struct Place {
  std::size_t internal[2] = {};
  std::uint32_t offset = 0, offset_high = 0;
  void* event = nullptr;

  explicit Place(std::uint64_t at)
      : offset{static_cast<std::uint32_t>(at)}, offset_high{static_cast<std::uint32_t>(at >> 32)} {}
  [[nodiscard]] _OVERLAPPED* get() { return reinterpret_cast<_OVERLAPPED*>(this); }
};
static_assert(sizeof(Place) == 32);

/// BY_HANDLE_FILE_INFORMATION.
struct Information {
  std::uint32_t attributes = 0, times[6] = {}, volume = 0, size_high = 0, size_low = 0, links = 0, id_high = 0,
                id_low = 0;
};
static_assert(sizeof(Information) == 52);

/// A lock here keeps nobody from reading the file, which a lock of its bytes would on Windows.
inline constexpr std::uint64_t behind_all_bytes = std::uint64_t{1} << 62;
/// For `write`: at the end of the file.
inline constexpr std::uint64_t at_end = std::numeric_limits<std::uint64_t>::max();

[[nodiscard]] inline File open(const std::filesystem::path& path, unsigned long access, unsigned long disposition,
                               unsigned long flags) {
  const auto invalid = reinterpret_cast<void*>(static_cast<std::intptr_t>(-1));
  void* const file = CreateFileW(path.c_str(), access, share_all, nullptr, disposition, flags, nullptr);
  return file == invalid ? no_file : file;
}

}  // namespace detail

/// Why the last call failed.
[[nodiscard]] inline std::error_code last_error() { return {static_cast<int>(GetLastError()), std::system_category()}; }
/// Whether it failed because a name exists already.
[[nodiscard]] inline bool failed_on_existing() {
  constexpr unsigned long file_exists = 80, already_exists = 183;
  return GetLastError() == file_exists || GetLastError() == already_exists;
}

/// `no_file` on failure.
[[nodiscard]] inline File open(const std::filesystem::path& path, OpenMode mode) {
  using namespace detail;
  switch (mode) {
    case OpenMode::read:
      return detail::open(path, read_access, only_open, folder_flag);  // folders too, which `status` tells
    case OpenMode::append:
      return detail::open(path, read_access | write_access, always_open, 0);
    case OpenMode::create_new:
      return detail::open(path, write_access, only_create, 0);
    default:
      return detail::open(path, write_access, only_open, link_flag);  // the link itself, which `status` refuses
  }
}
inline void close(File file) { CloseHandle(file); }

/// None on failure.
[[nodiscard]] inline std::optional<FileStatus> status(File file) {
  detail::Information found;
  if (GetFileInformationByHandle(file, reinterpret_cast<_BY_HANDLE_FILE_INFORMATION*>(&found)) == 0)
    return std::nullopt;
  constexpr unsigned long on_disk = 1;
  const auto joined = [](std::uint32_t high, std::uint32_t low) { return std::uint64_t{high} << 32 | low; };
  return FileStatus{.is_regular = GetFileType(file) == on_disk && (found.attributes & detail::folder_attribute) == 0,
                    .is_own = true,
                    .is_link = (found.attributes & detail::link_attribute) != 0,
                    .size = joined(found.size_high, found.size_low),
                    .link_count = found.links,
                    .volume = found.volume,
                    .id = joined(found.id_high, found.id_low)};
}
/// Of what has this name, with links followed or not. None on failure.
[[nodiscard]] inline std::optional<FileStatus> status(const std::filesystem::path& path, bool follow) {
  const File file = detail::open(path, 0, detail::only_open, detail::folder_flag | (follow ? 0 : detail::link_flag));
  if (file == no_file) return std::nullopt;
  const auto found = status(file);
  close(file);
  return found;
}
/// Whether this process may write to an existing file, as far as the file's attributes tell.
[[nodiscard]] inline bool is_writable(const std::filesystem::path& path) {
  constexpr unsigned long access_denied = 5;
  const unsigned long attributes = GetFileAttributesW(path.c_str());
  if (attributes == detail::no_attributes) return false;
  if ((attributes & detail::read_only_attribute) == 0) return true;
  SetLastError(access_denied);
  return false;
}
/// Nothing to do: a new file has the rights of its folder.
[[nodiscard]] inline bool copy_permissions(const std::filesystem::path&, File) { return true; }

/// Writes at the file's end. Bytes written, which may be fewer than `size`; negative on failure.
[[nodiscard]] inline std::int64_t write(File file, const std::byte* bytes, std::size_t size) {
  constexpr std::size_t most = 1u << 30;
  detail::Place end{detail::at_end};
  unsigned long written = 0;
  if (WriteFile(file, bytes, static_cast<unsigned long>(std::min(size, most)), &written, end.get()) == 0) return -1;
  return written;
}
/// Reads one byte; false on failure.
[[nodiscard]] inline bool read_byte(File file, std::uint64_t offset, std::byte& byte) {
  detail::Place place{offset};
  unsigned long count = 0;
  return ReadFile(file, &byte, 1, &count, place.get()) != 0 && count == 1;
}
[[nodiscard]] inline bool truncate(File file, std::uint64_t size) {
  constexpr unsigned long from_begin = 0, failed = 0xffffffff, no_error = 0;
  long high = static_cast<long>(size >> 32);
  const unsigned long low = SetFilePointer(file, static_cast<long>(size), &high, from_begin);
  return (low != failed || GetLastError() == no_error) && SetEndOfFile(file) != 0;
}
/// Returns when everything written is on disk; false on failure.
[[nodiscard]] inline bool sync(File file) { return FlushFileBuffers(file) != 0; }

/// Locks a file against other processes, and against others who open it in this one; does not wait.
[[nodiscard]] inline LockOutcome lock(File file) {
  constexpr unsigned long exclusive = 2, at_once = 1, lock_violation = 33, io_pending = 997, not_supported = 50;
  detail::Place place{detail::behind_all_bytes};
  if (LockFileEx(file, exclusive | at_once, 0, 1, 0, place.get()) != 0) return LockOutcome::locked;
  const unsigned long reason = GetLastError();
  if (reason == lock_violation || reason == io_pending) return LockOutcome::taken;
  return reason == not_supported ? LockOutcome::unsupported : LockOutcome::failed;
}
inline void unlock(File file) {
  detail::Place place{detail::behind_all_bytes};
  UnlockFileEx(file, 0, 1, 0, place.get());
}

/// Gives a file another name in one step, and replaces what had that name. Fails while that is open.
[[nodiscard]] inline bool replace(const std::filesystem::path& from, const std::filesystem::path& to) {
  constexpr unsigned long replace_existing = 1, write_through = 8;
  return MoveFileExW(from.c_str(), to.c_str(), replace_existing | write_through) != 0;
}
inline void remove(const std::filesystem::path& path) { DeleteFileW(path.c_str()); }

/// Opens a folder; `no_file` on failure.
[[nodiscard]] inline File open_folder(const std::filesystem::path& path) {
  return detail::open(path, detail::read_access, detail::only_open, detail::folder_flag);
}
/// Nothing to do: the file system keeps a journal of its names.
[[nodiscard]] inline bool sync_folder(File) { return true; }

/// A file's first `size` > 0 bytes as read-only memory; null on failure.
[[nodiscard]] inline const std::byte* map(File file, std::size_t size) {
  constexpr unsigned long read_only_pages = 2, read_view = 4;
  const auto high = static_cast<unsigned long>(std::uint64_t{size} >> 32), low = static_cast<unsigned long>(size);
  void* const mapping = CreateFileMappingW(file, nullptr, read_only_pages, high, low, nullptr);
  if (mapping == nullptr) return nullptr;
  const void* const bytes = MapViewOfFile(mapping, read_view, 0, 0, size);
  CloseHandle(mapping);  // the view keeps it
  return static_cast<const std::byte*>(bytes);
}
inline void unmap(const std::byte* bytes, std::size_t) { UnmapViewOfFile(bytes); }

/// Bytes of a page of memory.
[[nodiscard]] inline std::size_t page_size() { return 4096; }
/// The system decides alone how it reads mapped pages.
inline void expect_random_reads(const std::byte*, std::size_t) {}
inline void expect_any_reads(const std::byte*, std::size_t) {}
inline void prefetch(const std::byte*, std::size_t) {}

}  // namespace icrl::os
#endif
