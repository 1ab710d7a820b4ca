// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/row_blocks.hpp>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("Blocks of rows cover a window once, in order, and all but the last are even", "[nn]") {
  for (Index rows = 0; rows <= 200; ++rows) {
    CAPTURE(rows);
    Index next = 0;
    bool all_even = true;
    detail::for_each_row_block(rows, [&](Index first, Index count) {
      CHECK(first == next);
      CHECK(all_even);  // an odd block is the last
      CHECK(count >= 1);
      CHECK(count <= detail::row_block);
      all_even = count % 2 == 0;
      next += count;
    });
    CHECK(next == rows);
  }
}
