// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/score_blocks.hpp>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("The triangle of scores in columns has a place for every pair of queries and block of keys that it sees",
          "[nn]") {
  for (const Index tokens : {1, 2, 15, 16, 17, 35, 80}) {
    CAPTURE(tokens);
    const detail::ScoreColumns columns{tokens};
    Index next = 0;
    for (Index column = 0; column < detail::ScoreBlocks::count(tokens); ++column) {
      CHECK(columns.begin(column) == next);
      for (Index pair = column * 8; pair < (tokens + 1) / 2; ++pair, next += 16)
        CHECK(columns.at(column, pair) == next);
    }
    CHECK(columns.begin(detail::ScoreBlocks::count(tokens)) == next);
  }
}

TEST_CASE("The triangle of scores in rows has each block as wide as its last row looks", "[nn]") {
  using Blocks = detail::ScoreBlocks;
  for (const Index tokens : {1, 15, 16, 17, 80}) {
    CAPTURE(tokens);
    Index next = 0;
    for (Index block = 0; block < Blocks::count(tokens); ++block) {
      CHECK(Blocks::triangle(block) == next);
      next += Blocks::rows * (block + 1) * Blocks::rows;
    }
    CHECK(Blocks::whole(tokens) >= tokens);
    CHECK(Blocks::whole(tokens) < tokens + Blocks::rows);
  }
}
