// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/core/os_file.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <icrl/core/file_descriptor.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;

namespace {

/// Closes itself.
struct Opened {
  os::File file;
  explicit Opened(os::File opened) : file{opened} { REQUIRE(file != os::no_file); }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  ~Opened() { os::close(file); }
};

std::span<const std::byte> raw_bytes(std::string_view text) { return std::as_bytes(std::span{text}); }

void put(os::File file, std::string_view text) {
  REQUIRE(os::write(file, raw_bytes(text).data(), text.size()) == static_cast<std::int64_t>(text.size()));
}

std::string content(const std::filesystem::path& path) {
  const std::vector<char> bytes = test::read_bytes(path);
  return {bytes.begin(), bytes.end()};
}

}  // namespace

TEST_CASE("Each mode of opening finds, makes or refuses a file", "[core]") {
  const test::TemporaryFolder folder;
  const auto missing = folder / "missing", there = folder / "there";
  test::write_bytes(there, std::string_view{"old"});

  CHECK(os::open(missing, os::OpenMode::read) == os::no_file);
  CHECK_FALSE(os::failed_on_existing());
  CHECK_FALSE(os::last_error().message().empty());
  CHECK(os::open(missing, os::OpenMode::reuse) == os::no_file);
  CHECK(os::open(there, os::OpenMode::create_new) == os::no_file);
  CHECK(os::failed_on_existing());
  CHECK(test::error_of([&] { detail::fail_with_reason("cannot make", there); }).find("cannot make \"") == 0);

  { const Opened made{os::open(missing, os::OpenMode::create_new)}; }
  CHECK(os::status(missing, true)->size == 0);
  const Opened reading{os::open(there, os::OpenMode::read)}, reusing{os::open(there, os::OpenMode::reuse)};
  const Opened appending{os::open(there, os::OpenMode::append)};
  put(appending.file, " and new");
  CHECK(content(there) == "old and new");
}

TEST_CASE("The status of a file tells its size and whether two names are one file", "[core]") {
  const test::TemporaryFolder folder;
  const auto path = folder / "a", other = folder / "b";
  test::write_bytes(path, std::string_view{"12345"});
  test::write_bytes(other, std::string_view{"12345"});

  const auto named = os::status(path, true), beside = os::status(other, true);
  const Opened opened{os::open(path, os::OpenMode::read)};
  const auto found = os::status(opened.file);

  REQUIRE((named && beside && found));
  CHECK((found->is_regular && found->is_own));
  CHECK(found->size == 5);
  CHECK(found->link_count == 1);
  CHECK((found->id == named->id && found->volume == named->volume));
  CHECK(found->id != beside->id);
  CHECK_FALSE(os::status(path.parent_path(), true)->is_regular);
  CHECK_FALSE(os::status(folder / "missing", true));
}

TEST_CASE("A second opening of a locked file finds the lock taken until the first one gives it back", "[core]") {
  const test::TemporaryFolder folder;
  const Opened first{os::open(folder / "a", os::OpenMode::append)},
      second{os::open(folder / "a", os::OpenMode::append)};

  CHECK(os::lock(first.file) == os::LockOutcome::locked);
  CHECK(os::lock(second.file) == os::LockOutcome::taken);
  put(first.file, "written under the lock");
  CHECK(content(folder / "a") == "written under the lock");  // which keeps nobody from reading
  os::unlock(first.file);
  CHECK(os::lock(second.file) == os::LockOutcome::locked);
}

TEST_CASE("A file is cut, and grows again at its new end", "[core]") {
  const test::TemporaryFolder folder;
  const Opened file{os::open(folder / "a", os::OpenMode::append)};
  put(file.file, "0123456789");

  CHECK(os::truncate(file.file, 4));
  put(file.file, "ab");
  CHECK(os::sync(file.file));

  CHECK(content(folder / "a") == "0123ab");
  std::byte byte{};
  CHECK(os::read_byte(file.file, 5, byte));
  CHECK(byte == std::byte{'b'});
  CHECK_FALSE(os::read_byte(file.file, 6, byte));
}

TEST_CASE("A file takes the place of another one in one step while it is open, on POSIX also while the other is",
          "[core]") {
  const test::TemporaryFolder folder;
  const auto from = folder / "new", to = folder / "old";
  test::write_bytes(to, std::string_view{"old"});
  {
    const Opened writer{os::open(from, os::OpenMode::create_new)};
    put(writer.file, "new");
#if !defined(_WIN32)
    const Opened reader{os::open(to, os::OpenMode::read)};
#endif

    CHECK(os::copy_permissions(to, writer.file));
    CHECK(os::replace(from, to));
  }
  CHECK(content(to) == "new");
  CHECK_FALSE(os::status(from, true));

  os::remove(to);
  CHECK_FALSE(os::status(to, true));
}

TEST_CASE("A mapped file reads as what it holds", "[core]") {
  const test::TemporaryFolder folder;
  const std::string text(20000, 'x');
  test::write_bytes(folder / "a", text);
  const std::byte* bytes = nullptr;
  {
    const Opened file{os::open(folder / "a", os::OpenMode::read)};
    bytes = os::map(file.file, text.size());  // outlives the open file
  }
  REQUIRE(bytes != nullptr);
  os::expect_random_reads(bytes, os::page_size());
  os::expect_any_reads(bytes, os::page_size());
  os::prefetch(bytes, os::page_size());
  CHECK(std::equal(bytes, bytes + text.size(), raw_bytes(text).data()));
  os::unmap(bytes, text.size());
}

TEST_CASE("The folder of a file can be synced, and what may not be written is not writable", "[core]") {
  const test::TemporaryFolder folder;
  const auto path = folder / "a";
  test::write_bytes(path, std::string_view{"old"});

  const Opened opened{os::open_folder(path.parent_path())};
  CHECK(os::sync_folder(opened.file));
  CHECK(os::open_folder(folder / "missing") == os::no_file);
  CHECK(os::is_writable(path));
  CHECK_FALSE(os::is_writable(folder / "missing"));
}
