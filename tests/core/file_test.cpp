// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/core/file.hpp>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

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
        "cannot append to \"" + (folder / "log").string() +
            "\": another writer has it open (or a process that was forked from a killed writer)");
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
  const auto is_refused = [](const std::string& error) {
    return test::has(error, "which was forked from it (open the file again in this process)");
  };

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

TEST_CASE("A killed writer holds its file as long as a process forked from it lives", "[core]") {
  const test::TemporaryFolder folder;
  int ends[2], ready[2];
  REQUIRE(::pipe(ends) == 0);
  REQUIRE(::pipe(ready) == 0);
  const ::pid_t writer = ::fork();
  if (writer == 0) {
    const AppendFile file{folder / "log"};
    char byte = 0;
    ::close(ends[1]);
    if (::fork() == 0) {
      (void)!::read(ends[0], &byte, 1);  // until the test has closed its end
      ::_exit(0);
    }
    (void)!::write(ready[1], &byte, 1);
    ::_exit(0);  // as if killed: nothing is closed
  }
  char byte = 0;
  int status = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  REQUIRE(::waitpid(writer, &status, 0) == writer);

  CHECK(
      test::has(error_of([&] { AppendFile{folder / "log"}; }), "(or a process that was forked from a killed writer)"));
  ::close(ends[1]);
  std::string error = "not tried";
  for (int i = 0; i < 2000 && !error.empty(); ++i) {
    error = error_of([&] { AppendFile{folder / "log"}; });
    ::usleep(5000);
  }
  CHECK(error.empty());
  for (const int end : {ends[0], ready[0], ready[1]}) ::close(end);
}

TEST_CASE("An append that fails halfway is taken back", "[core]") {
  const test::TemporaryFolder folder;
  AppendFile file{folder / "log"};
  file.append(bytes_of("kept"));

  const std::string error = [&] {
    const test::SmallDisk disk{50'000};
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
