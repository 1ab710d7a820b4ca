// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/core/atomic_write.hpp>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <thread>

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <icrl/core/file.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/forked_process.hpp"
#include "support/small_disk.hpp"
#include "support/temporary_folder.hpp"
#include "support/text_file.hpp"

using namespace icrl;
using test::bytes_of;
using test::error_of;
using test::read_text;

namespace {

bool folders_cannot_be_synced = false;
int lock_error = 0;  // what flock fails with

int entry_count(const std::filesystem::path& folder) {
  const std::filesystem::directory_iterator entries{folder};
  return static_cast<int>(std::distance(begin(entries), end(entries)));
}

}  // namespace

#ifdef __GLIBC__
// A program's own function takes the place of the C library's, so that it can fail.
extern "C" int fsync(int descriptor) {
  struct ::stat status {};
  if (folders_cannot_be_synced && ::fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode)) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fsync, descriptor));
}
extern "C" int flock(int descriptor, int operation) noexcept {
  errno = lock_error;
  return lock_error != 0 ? -1 : static_cast<int>(::syscall(SYS_flock, descriptor, operation));
}

TEST_CASE("A file is replaced where the file system knows no locks", "[core]") {
  const test::TemporaryFolder folder;
  test::write_bytes(folder / (".a.icrl-tmp-" + std::to_string(::getpid()) + "-0"), std::string_view{"taken"});
  for (const int error : {ENOSYS, EOPNOTSUPP, ENOLCK, EIO}) {
    lock_error = error;
    const std::string text = error_of([&] { write_file_atomically(folder / "a", bytes_of(std::to_string(error))); });
    lock_error = 0;

    CHECK(text.empty() == (error != EIO));
    CHECK(read_text(folder / "a") == std::to_string(error == EIO ? ENOLCK : error));
  }
  write_file_atomically(folder / "a", bytes_of("locked"));  // beside the file that the EIO has left
  CHECK(entry_count(folder / "") == 2);
}

TEST_CASE("A folder that cannot be synced is an Error that says what was done", "[core]") {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "a", bytes_of("old"));

  folders_cannot_be_synced = true;
  const std::string error = error_of([&] { write_file_atomically(folder / "a", bytes_of("new")); });
  folders_cannot_be_synced = false;

  CHECK(error == "\"" + (folder / "a").string() +
                     "\" was replaced, but its folder could not be synced to disk: Input/output error");
  CHECK(read_text(folder / "a") == "new");
  CHECK(entry_count(folder / "") == 1);
}
#endif

TEST_CASE("An atomic write creates and replaces, and leaves nothing else behind", "[core]") {
  const test::TemporaryFolder folder;

  write_file_atomically(folder / "a", bytes_of("first, and longer"));
  CHECK(read_text(folder / "a") == "first, and longer");
  write_file_atomically(folder / "a", bytes_of("second"));
  CHECK(read_text(folder / "a") == "second");
  write_file_atomically(folder / "a", {});
  CHECK(read_text(folder / "a").empty());

  CHECK(entry_count(folder / "") == 1);
}

TEST_CASE("A write that fails for want of space keeps the old file", "[core]") {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "a", bytes_of("old"));
  const std::string big(100'000, 'x');

  const std::string error = [&] {
    const test::SmallDisk disk{50'000};
    return error_of([&] { write_file_atomically(folder / "a", bytes_of(big)); });
  }();

  CHECK(test::has(error, "cannot write"));
  CHECK(test::has(error, "File too large"));
  CHECK(read_text(folder / "a") == "old");
  CHECK(entry_count(folder / "") == 1);
}

TEST_CASE("A write to where none is possible says so and leaves nothing behind", "[core]") {
  const test::TemporaryFolder folder;
  std::filesystem::create_directories(folder / "taken" / "inside");
  test::write_bytes(folder / "file", std::string_view{"kept"});

  CHECK(test::has(error_of([&] { write_file_atomically(folder / "none" / "a", bytes_of("x")); }),
                  "cannot open the folder"));
  CHECK(test::has(error_of([&] { write_file_atomically(folder / "file" / "a", bytes_of("x")); }),
                  "cannot open the folder"));
  CHECK(test::has(error_of([&] { write_file_atomically("/proc/icrl", bytes_of("x")); }), "cannot create"));
  CHECK(test::has(error_of([&] { write_file_atomically(folder / "taken", bytes_of("x")); }), "cannot replace"));

  CHECK(std::filesystem::is_directory(folder / "taken" / "inside"));
  CHECK(read_text(folder / "file") == "kept");
  CHECK(entry_count(folder / "") == 2);
}

TEST_CASE("An atomic write follows links, keeps the mode, and replaces nothing but files", "[core]") {
  const test::TemporaryFolder folder;
  test::write_bytes(folder / "file", std::string_view{"old"});
  std::filesystem::permissions(folder / "file", std::filesystem::perms{0600});
  std::filesystem::create_symlink("file", folder / "link");

  write_file_atomically(folder / "link", bytes_of("new"));

  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(read_text(folder / "file") == "new");
  CHECK(std::filesystem::status(folder / "file").permissions() == std::filesystem::perms{0600});
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(test::has(error_of([&] { write_file_atomically(folder / "pipe", bytes_of("x")); }), "not a regular file"));
  CHECK(std::filesystem::is_fifo(folder / "pipe"));
}

TEST_CASE("An atomic write makes the file that a link names, and refuses links that do not end", "[core]") {
  const test::TemporaryFolder folder;
  std::filesystem::create_directory(folder / "data");
  std::filesystem::create_symlink("data/first", folder / "link");
  std::filesystem::create_symlink("second", folder / "data/first");
  std::filesystem::create_symlink(folder / "data/third", folder / "data/second");
  std::filesystem::create_symlink("loop", folder / "loop");
  std::filesystem::create_symlink("nowhere/file", folder / "astray");

  write_file_atomically(folder / "link", bytes_of("new"));

  for (const char* link : {"link", "data/first", "data/second"}) CHECK(std::filesystem::is_symlink(folder / link));
  CHECK(std::filesystem::is_regular_file(std::filesystem::symlink_status(folder / "data/third")));
  CHECK(read_text(folder / "link") == "new");
  CHECK(error_of([&] { write_file_atomically(folder / "loop", bytes_of("x")); }) ==
        "cannot replace \"" + (folder / "loop").string() +
            "\": its chain of symbolic links is too long (is there a loop?)");
  CHECK(
      test::has(error_of([&] { write_file_atomically(folder / "astray", bytes_of("x")); }), "cannot open the folder"));
  CHECK(entry_count(folder / "") == 4);
}

TEST_CASE("What a killed writer has left is removed, what a living one writes is not", "[core]") {
  const test::TemporaryFolder folder;
  const auto count = [&] {
    return std::distance(std::filesystem::directory_iterator{folder / ""}, std::filesystem::directory_iterator{});
  };
  test::write_bytes(folder / ".file.icrl-tmp", std::string_view{"half of something that is longer"});
  write_file_atomically(folder / "file", bytes_of("whole"));
  CHECK(read_text(folder / "file") == "whole");
  CHECK(count() == 1);
  write_file_atomically(folder / "other", bytes_of("new"));
  test::write_bytes(folder / ".third.icrl-tmp", std::string_view{"half"});
  std::filesystem::permissions(folder / ".third.icrl-tmp", std::filesystem::perms{0600});
  write_file_atomically(folder / "third", bytes_of("whole"));
  CHECK(std::filesystem::status(folder / "third").permissions() ==
        std::filesystem::status(folder / "other").permissions());  // not those of the one that was left
  CHECK(count() == 3);

  const AppendFile living{folder / ".file.icrl-tmp"};  // holds the lock
  write_file_atomically(folder / "file", bytes_of("again"));
  CHECK(read_text(folder / "file") == "again");
  CHECK(count() == 4);
}

TEST_CASE("A temporary file's name does not end inside a character", "[core]") {
  std::string name;
  for (int i = 0; i < 70; ++i) name += "\xe8\xaa\x9e";  // three bytes each
  const std::string cut = detail::temporary_name(name, 0).string();
  CHECK(cut == "." + name.substr(0, 198) + ".icrl-tmp");
  CHECK(detail::temporary_name("short", 2) == ".short.icrl-tmp2");
}

TEST_CASE("Files of others with a temporary file's name are left alone", "[core]") {
  const test::TemporaryFolder folder;
  test::write_bytes(folder / "model.tmp", std::string_view{"the user's"});
  test::write_bytes(folder / "other", std::string_view{"two names"});
  std::filesystem::create_hard_link(folder / "other", folder / ".model.icrl-tmp");
  REQUIRE(::mkfifo((folder / ".model.icrl-tmp1").c_str(), 0600) == 0);
  std::filesystem::create_symlink("other", folder / ".model.icrl-tmp2");
  std::filesystem::create_directory(folder / ".model.icrl-tmp3");
  const bool returns = test::holds_in_forked_process([&] {  // rather than waits for a reader of the pipe
    write_file_atomically(folder / "model", bytes_of("new"));
    return true;
  });

  CHECK(returns);
  CHECK(read_text(folder / "model") == "new");
  CHECK(read_text(folder / "model.tmp") == "the user's");
  CHECK(read_text(folder / "other") == "two names");
  CHECK(std::filesystem::is_fifo(folder / ".model.icrl-tmp1"));
  CHECK(std::filesystem::is_symlink(folder / ".model.icrl-tmp2"));
  CHECK(entry_count(folder / "") == 7);
}

TEST_CASE("A name may be as long as the folder's file system allows", "[core]") {
  const test::TemporaryFolder folder;
  const std::filesystem::path path = folder / std::string(255, 'n');

  write_file_atomically(path, bytes_of("new"));

  CHECK(read_text(path) == "new");
  CHECK(entry_count(folder / "") == 1);
}

TEST_CASE("An unwritable folder keeps the old file", "[core]") {
  if (::geteuid() == 0) return;  // nothing is unwritable for the superuser
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "a", bytes_of("old"));
  std::filesystem::permissions(folder / "", std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);

  const std::string error = error_of([&] { write_file_atomically(folder / "a", bytes_of("new")); });
  std::filesystem::permissions(folder / "", std::filesystem::perms::owner_all);

  CHECK(test::has(error, "Permission denied"));
  CHECK(read_text(folder / "a") == "old");
}

TEST_CASE("Two writers and a reader at once see whole files only", "[core]") {
  const test::TemporaryFolder folder;
  const auto path = folder / "a";
  write_file_atomically(path, bytes_of(std::string(20'000, 'a')));
  std::atomic<bool> failed{false};
  const auto write = [&](char letter, std::size_t size) {
    for (int i = 0; i < 25; ++i) {
      try {
        write_file_atomically(path, bytes_of(std::string(size, letter)));
      } catch (const Error&) {
        failed = true;
      }
    }
  };

  std::thread first{write, 'a', 20'000}, second{write, 'b', 30'000};
  for (int i = 0; i < 200; ++i) {
    const std::string text = read_text(path);
    if (text != std::string(20'000, 'a') && text != std::string(30'000, 'b')) failed = true;
  }
  first.join();
  second.join();

  CHECK_FALSE(failed);
  CHECK(entry_count(folder / "") == 1);
}
