// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/table_index.hpp>

#include <array>
#include <set>

#include "support/catch.hpp"
#include "support/histories.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("Every element of a space has its own row", "[learner]") {
  const TableIndex index{MultiDiscrete{{3, 4, 2}}, "table"};
  std::set<std::size_t> rows;
  for (const float a : {0.0f, 1.0f, 2.0f})
    for (const float b : {0.0f, 1.0f, 2.0f, 3.0f})
      for (const float c : {0.0f, 1.0f}) rows.insert(index(std::array{a, b, c}));

  CHECK(index.row_count() == 24);
  CHECK(rows.size() == 24);
  CHECK(*rows.rbegin() == 23);
  CHECK(index(std::array{1.0f, 2.0f, 1.0f}) == 8 + 4 + 1);
}

TEST_CASE("Spaces that no table can hold are refused", "[learner]") {
  CHECK(has(error_of([] { TableIndex(Box{{0}, {1}}, "table"); }), "table: a table needs a discrete"));
  CHECK(has(error_of([] { TableIndex(MultiDiscrete{{60000, 60000, 60000, 60000, 60000}}, "table"); }), "too many"));
  CHECK(has(error_of([] { TableIndex(Discrete{0}, "table"); }), "table: discrete(0) has a component of 0 ids"));
  CHECK(has(error_of([] { TableIndex(MultiDiscrete{{-3, -3}}, "table"); }), "a component of -3 ids"));
}
