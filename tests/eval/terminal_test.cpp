// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/eval/terminal.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("A small plot in characters", "[eval]") {
  const Plot plot{.title = "t",
                  .x_label = "x",
                  .series = {{.name = "up", .y = {0, 1, 2, 3}}, {.name = "down", .y = {3, 2, 1, 0}}},
                  .levels = {{"top", 4}}};

  CHECK(to_terminal(plot, {.columns = 4, .rows = 5}) ==
        "t\n"
        "      4 |---- top\n"
        "      3 |x  o\n"
        "      2 | xo \n"
        "      1 | ox \n"
        "      0 |o  x\n"
        "        +----\n"
        "         1x 4\n"
        "         o  up\n"
        "         x  down\n");
}

TEST_CASE("Many episodes share a column, which shows their mean", "[eval]") {
  const Plot plot{.series = {{.name = "a", .y = {0, 4, 2, 2, 4, 4}}}};

  const std::string text = to_terminal(plot, {.columns = 3, .rows = 3});

  CHECK(text.find("|  o\n") != text.npos);
  CHECK(text.find("|oo \n") != text.npos);
}

TEST_CASE("Colors are there only when they are asked for", "[eval]") {
  const Plot plot{.series = {{.name = "a", .y = {1, 2}}}};

  CHECK(to_terminal(plot).find('\x1b') == std::string::npos);
  CHECK(to_terminal(plot, {.has_color = true}).find("\x1b[34mo\x1b[0m") != std::string::npos);
  CHECK_THROWS_AS(to_terminal(plot, {.columns = 1}), Error);
}
