// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/core/checked_file.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using test::error_of;

namespace {

constexpr CheckedFileKind note_kind{.magic = "note", .name = "note", .version = 3};

void write_note(const std::filesystem::path& path) {
  ByteWriter payload;
  payload.value(std::uint32_t{77});
  payload.text("remember");
  write_checked_file(path, note_kind, payload.bytes());
}

std::string error_of_opening(const std::filesystem::path& path, const CheckedFileKind& kind = note_kind) {
  return error_of([&] { const CheckedFile file{path, kind}; });
}

}  // namespace

TEST_CASE("A checked file gives back its payload", "[core]") {
  const test::TemporaryFolder folder;
  write_note(folder / "a");

  const CheckedFile file{folder / "a", note_kind};

  ByteReader reader = file.reader();
  CHECK(reader.value<std::uint32_t>() == 77);
  CHECK(reader.text() == "remember");
  CHECK_NOTHROW(reader.check_end());
}

TEST_CASE("A checked file may be empty inside", "[core]") {
  const test::TemporaryFolder folder;
  write_checked_file(folder / "a", note_kind, {});

  CHECK_NOTHROW(CheckedFile{folder / "a", note_kind}.reader().check_end());
}

TEST_CASE("A file of another kind or version is refused by name", "[core]") {
  const test::TemporaryFolder folder;
  write_note(folder / "a");
  const auto refuses = [&](std::string_view magic, std::uint32_t version, const char* text) {
    return test::has(error_of_opening(folder / "a", {.magic = magic, .name = "letter", .version = version}), text);
  };

  CHECK(refuses("letter", 3, "is not a file of this kind; it should begin with \"letter\""));
  CHECK(refuses("not", 3, "is not a file of this kind"));  // a beginning of the right name is not the name
  CHECK(refuses("note", 2, "format version 3, this build reads version 2 (was it written by a newer icrl?)"));
  CHECK(refuses("note", 4, "format version 3, this build reads version 4"));
  CHECK(test::has(error_of_opening(folder / "none"), "cannot open"));
}

TEST_CASE("No cut and no flipped bit of a checked file goes unseen", "[core]") {
  const test::TemporaryFolder folder;
  write_note(folder / "a");
  const auto bytes = test::read_bytes(folder / "a");

  for (std::size_t size = 0; size < bytes.size(); ++size) {
    test::write_bytes(folder / "cut", std::span{bytes}.first(size));
    CHECK_FALSE(error_of_opening(folder / "cut").empty());
  }
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    auto flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    test::write_bytes(folder / "flipped", flipped);
    CHECK_FALSE(error_of_opening(folder / "flipped").empty());
  }
}
