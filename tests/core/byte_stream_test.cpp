// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/core/byte_stream.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using test::error_of;

TEST_CASE("Numbers are written little end first, texts with their length", "[core]") {
  ByteWriter writer;
  writer.value(std::uint16_t{0x1234});
  writer.text("ab");

  const std::vector<unsigned char> expected{0x34, 0x12, 2, 0, 0, 0, 'a', 'b'};
  REQUIRE(writer.bytes().size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(static_cast<unsigned char>(writer.bytes()[i]) == expected[i]);
}

TEST_CASE("A reader gives back what was written", "[core]") {
  const std::array<float, 3> numbers{1.5f, -2, 0};
  ByteWriter writer;
  writer.value(std::int64_t{-5});
  writer.values(std::span<const float>{numbers});
  writer.text("");
  writer.text("a task");

  ByteReader reader{writer.bytes(), "bytes"};
  CHECK(reader.value<std::int64_t>() == -5);
  std::array<float, 3> read{};
  reader.values(std::span<float>{read});
  CHECK(read == numbers);
  CHECK(reader.text().empty());
  CHECK(reader.text() == "a task");
  CHECK_NOTHROW(reader.check_end());
}

TEST_CASE("Bytes that end too soon are an error that says where", "[core]") {
  ByteWriter writer;
  writer.value(std::uint32_t{1'000'000'000});  // also the length of a text that is not there

  ByteReader number{writer.bytes(), "a note"};
  CHECK(error_of([&] { (void)number.value<std::uint64_t>(); }) == "a note: ends 4 bytes too soon, at byte 4");
  ByteReader text{writer.bytes(), "a note"};
  CHECK(error_of([&] { (void)text.text(); }) == "a note: ends 1000000000 bytes too soon, at byte 4");
  (void)number.value<std::uint32_t>();
  CHECK(error_of([&] { (void)number.value<std::uint8_t>(); }) == "a note: ends 1 bytes too soon, at byte 4");
  const ByteReader nothing_read{writer.bytes(), "a note"};
  CHECK(error_of([&] { nothing_read.check_end(); }) == "a note: 4 bytes follow the last value");
}

TEST_CASE("A number outside its range is an error that names it", "[core]") {
  ByteWriter writer;
  writer.value(7);
  writer.value(std::numeric_limits<float>::quiet_NaN());

  ByteReader reader{writer.bytes(), "a note"};
  CHECK(error_of([&] { (void)reader.value_in("age", 0, 6); }) == "a note: age is 7, it must lie in 0 .. 6");
  CHECK(test::has(error_of([&] { (void)reader.value_in("share", 0.0f, 1.0f); }), "share is nan"));
  ByteReader again{writer.bytes(), "a note"};
  CHECK(again.value_in("age", 7, 7) == 7);
}
