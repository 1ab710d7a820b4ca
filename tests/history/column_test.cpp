// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/history/column.hpp>

#include <array>
#include <cstddef>
#include <vector>

#include <icrl/core/rng.hpp>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("A column has the narrowest type for ids, and the one that a box says", "[history]") {
  CHECK(element_type(Discrete{256}) == ElementType::u8);
  CHECK(element_type(Discrete{257}) == ElementType::u16);
  CHECK(element_type(MultiDiscrete{{9, 256}}) == ElementType::u8);
  CHECK(element_type(MultiDiscrete{{9, 300}}) == ElementType::u16);
  CHECK(element_type(Box{{0}, {1}}) == ElementType::f32);
  CHECK(element_type(image_box(2, 2, 1)) == ElementType::u8);
  CHECK(element_type(Box{{0}, {1}, {}, ElementType::u16}) == ElementType::u16);
}

TEST_CASE("A column gives back every row it was given", "[history]") {
  const auto spaces =
      std::vector<Space>{Discrete{256},         Discrete{65535},    MultiDiscrete{{2, 300, 7}},
                         Box{{-9, -9}, {9, 9}}, image_box(3, 2, 3), Box{{0}, {65535}, {}, ElementType::u16}};
  for (const Space& space : spaces) {
    Column column{space};
    Rng rng{3};
    std::vector<std::vector<float>> rows;
    for (int i = 0; i < 1000; ++i) {
      rows.emplace_back(static_cast<std::size_t>(value_count(space)));
      sample(space, rng, rows.back());
      column.append(rows.back());
    }

    std::vector<float> row(rows[0].size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      column.view().read(static_cast<std::int64_t>(i), row);
      REQUIRE(row == rows[i]);
    }
  }
}

TEST_CASE("A column holds the largest id of its type", "[history]") {
  Column bytes{Discrete{256}}, words{Discrete{65535}};
  bytes.append(std::array{255.0f});
  words.append(std::array{65534.0f});
  std::array<float, 1> byte, word;

  bytes.view().read(0, byte);
  words.view().read(0, word);

  CHECK(byte[0] == 255.0f);
  CHECK(word[0] == 65534.0f);
}

TEST_CASE("A truncated column goes on after the rows it kept", "[history]") {
  Column column{Discrete{10}};
  for (const float id : {1.0f, 2.0f, 3.0f}) column.append(std::array{id});

  column.truncate(1);
  column.append(std::array{9.0f});

  std::array<float, 1> row;
  column.view().read(0, row);
  CHECK(row[0] == 1.0f);
  column.view().read(1, row);
  CHECK(row[0] == 9.0f);
}

TEST_CASE("A picture takes one byte per number", "[history]") {
  Column column{image_box(84, 84, 1)};
  std::vector<float> picture(84 * 84, 0);
  picture[7] = 255;
  column.append(picture);

  CHECK(column.view().row_bytes() == 84 * 84);
  CHECK(column.view().row(0)[7] == std::byte{255});
}
