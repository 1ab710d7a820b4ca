// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/core/file.hpp>

#include <atomic>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <sys/resource.h>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/forked_process.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using test::error_of;

namespace {

std::string text_in(const std::filesystem::path& path) {
  const auto bytes = test::read_bytes(path);
  return {bytes.begin(), bytes.end()};
}
std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span{text}); }

std::string read_text(const std::filesystem::path& path) {
  const auto bytes = test::read_bytes(path);
  return {bytes.begin(), bytes.end()};
}

int entry_count(const std::filesystem::path& folder) {
  const std::filesystem::directory_iterator entries{folder};
  return static_cast<int>(std::distance(begin(entries), end(entries)));
}

/// While it lives, no file of this process can grow beyond `size` bytes, as on a full disk.
class SmallDisk {
public:
  explicit SmallDisk(::rlim_t size) : handler_{std::signal(SIGXFSZ, SIG_IGN)} {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const ::rlimit now{.rlim_cur = size, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &now);
  }
  ~SmallDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

private:
  ::rlimit before_{};
  void (*handler_)(int);
};

}  // namespace

TEST_CASE("A mapped file is the file's bytes", "[core]") {
  const test::TemporaryFolder folder;
  test::write_bytes(folder / "a", std::string_view{"seven b"});

  MappedFile file{folder / "a"};
  const MappedFile moved = std::move(file);

  REQUIRE(moved.bytes().size() == 7);
  CHECK(moved.bytes()[6] == std::byte{'b'});
}

TEST_CASE("A mapped file outlives its name", "[core]") {
  const test::TemporaryFolder folder;
  test::write_bytes(folder / "a", std::string_view{"old"});
  const MappedFile old{folder / "a"};

  write_file_atomically(folder / "a", bytes_of("brand new"));

  CHECK(old.bytes()[0] == std::byte{'o'});
  CHECK(MappedFile{folder / "a"}.bytes().size() == 9);
}

TEST_CASE("What is no file cannot be mapped, an empty one can", "[core]") {
  const test::TemporaryFolder folder;
  test::write_bytes(folder / "empty", std::string_view{});
  std::filesystem::create_directory(folder / "folder");
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);

  CHECK(MappedFile{folder / "empty"}.bytes().empty());
  CHECK(error_of([&] { MappedFile{folder / "none"}; }) ==
        "cannot open \"" + (folder / "none").string() + "\": No such file or directory");
  CHECK(test::has(error_of([&] { MappedFile{folder / "folder"}; }), "not a regular file"));
  CHECK(test::has(error_of([&] { MappedFile{folder / "pipe"}; }), "not a regular file"));
}

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
    const SmallDisk disk{50'000};
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
  CHECK(text_in(folder / "file") == "new");
  CHECK(std::filesystem::status(folder / "file").permissions() == std::filesystem::perms{0600});
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(test::has(error_of([&] { write_file_atomically(folder / "pipe", bytes_of("x")); }), "not a regular file"));
  CHECK(std::filesystem::is_fifo(folder / "pipe"));
}

TEST_CASE("What a killed writer has left is used again, what a living one writes is not", "[core]") {
  const test::TemporaryFolder folder;
  const auto count = [&] {
    return std::distance(std::filesystem::directory_iterator{folder / ""}, std::filesystem::directory_iterator{});
  };
  test::write_bytes(folder / "file.tmp", std::string_view{"half of something that is longer"});
  write_file_atomically(folder / "file", bytes_of("whole"));
  CHECK(text_in(folder / "file") == "whole");
  CHECK(count() == 1);

  const AppendFile living{folder / "file.tmp"};  // holds the lock
  write_file_atomically(folder / "file", bytes_of("again"));
  CHECK(text_in(folder / "file") == "again");
  CHECK(count() == 2);
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

TEST_CASE("An append file grows at its end, across openings", "[core]") {
  const test::TemporaryFolder folder;
  {
    AppendFile file{folder / "log"};
    CHECK(file.size() == 0);
    file.append(bytes_of("one,"));
    file.append({});
    file.sync();
  }
  AppendFile file{folder / "log"};
  file.append(bytes_of("two,"));
  CHECK(file.size() == 8);

  file.truncate(4);
  file.append(bytes_of("three"));

  CHECK(read_text(folder / "log") == "one,three");
}

TEST_CASE("A second writer of an append file is refused while the first lives", "[core]") {
  const test::TemporaryFolder folder;
  std::optional<AppendFile> first{std::in_place, folder / "log"};
  first->append(bytes_of("mine"));

  CHECK(error_of([&] { AppendFile{folder / "log"}; }) ==
        "cannot append to \"" + (folder / "log").string() + "\": another writer has it open");
  std::optional<AppendFile> moved{std::move(*first)};
  first.reset();
  CHECK_FALSE(error_of([&] { AppendFile{folder / "log"}; }).empty());
  moved.reset();
  CHECK(error_of([&] { AppendFile{folder / "log"}; }).empty());

  CHECK(read_text(folder / "log") == "mine");
}

TEST_CASE("A forked process neither writes to its parent's append file nor gives it free", "[core]") {
  const test::TemporaryFolder folder;
  std::optional<AppendFile> file{std::in_place, folder / "log"};
  file->append(bytes_of("mine"));
  const auto is_refused = [](const std::string& error) { return test::has(error, "forked from it (open it here)"); };

  CHECK(test::holds_in_forked_process([&] {
    return is_refused(error_of([&] { file->append(bytes_of("not mine")); })) &&
           is_refused(error_of([&] { file->truncate(0); }));
  }));
  CHECK(test::holds_in_forked_process([&] {
    file.reset();
    return test::has(error_of([&] { AppendFile{folder / "log"}; }), "another writer");
  }));

  CHECK(test::has(error_of([&] { AppendFile{folder / "log"}; }), "another writer"));
  CHECK(read_text(folder / "log") == "mine");
}

TEST_CASE("A forked process that puts a file of its own in its parent's place does not give the parent's free",
          "[core]") {
  const test::TemporaryFolder folder;
  AppendFile file{folder / "log"};
  file.append(bytes_of("mine"));

  CHECK(test::holds_in_forked_process([&] {
    {
      AppendFile own{folder / "own"};
      file = std::move(own);
      file.append(bytes_of("the child's"));
    }
    return test::has(error_of([&] { AppendFile{folder / "log"}; }), "another writer");
  }));

  CHECK(test::has(error_of([&] { AppendFile{folder / "log"}; }), "another writer"));
  CHECK(read_text(folder / "own") == "the child's");
}

TEST_CASE("An append file that is assigned to gives its old file free at once", "[core]") {
  const test::TemporaryFolder folder;
  AppendFile first{folder / "first"}, second{folder / "second"};

  first = std::move(second);

  CHECK(error_of([&] { AppendFile{folder / "first"}; }).empty());
  CHECK(test::has(error_of([&] { AppendFile{folder / "second"}; }), "another writer"));
  AppendFile& same = first;
  first = std::move(same);
  first.append(bytes_of("still open"));
  CHECK(read_text(folder / "second") == "still open");
}

TEST_CASE("A writer that is gone gives its file free, though a forked process lives on", "[core]") {
  const test::TemporaryFolder folder;
  std::optional<AppendFile> file{std::in_place, folder / "log"};
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const ::pid_t child = ::fork();
  if (child == 0) {
    char byte;
    ::close(ends[1]);
    (void)!::read(ends[0], &byte, 1);  // until the parent has closed its end
    ::_exit(0);
  }

  file.reset();
  const std::string error = error_of([&] { AppendFile{folder / "log"}.append(bytes_of("again")); });

  CHECK(error.empty());
  CHECK(read_text(folder / "log") == "again");
  ::close(ends[1]);
  int status = 0;
  CHECK(::waitpid(child, &status, 0) == child);
  ::close(ends[0]);
}

TEST_CASE("An append that fails halfway is taken back", "[core]") {
  const test::TemporaryFolder folder;
  AppendFile file{folder / "log"};
  file.append(bytes_of("kept"));

  const std::string error = [&] {
    const SmallDisk disk{50'000};
    return error_of([&] { file.append(bytes_of(std::string(100'000, 'x'))); });
  }();

  CHECK(test::has(error, "cannot write"));
  CHECK(read_text(folder / "log") == "kept");
  CHECK_NOTHROW(file.append(bytes_of(", too")));
  CHECK(read_text(folder / "log") == "kept, too");
}

TEST_CASE("A folder cannot be appended to", "[core]") {
  const test::TemporaryFolder folder;

  CHECK(test::has(error_of([&] { AppendFile{folder / ""}; }), "cannot open for appending"));
}
