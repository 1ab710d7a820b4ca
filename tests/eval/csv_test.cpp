// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/eval/csv.hpp>

#include "support/catch.hpp"
#include "support/decimal_comma.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("A plot's numbers as a table", "[eval]") {
  const Plot plot{
      .series = {{.name = "a", .y = {1, 2.5}, .band = {{0, 2}, {1, 4}}}, {.name = "say \"b\", or c", .y = {3}}},
      .levels = {{"oracle", 5}}};

  CHECK(to_csv(plot) ==
        "series,episode,return,low,high\na,1,1,0,2\na,2,2.5,1,4\n\"say \"\"b\"\", or c\",1,3,,\noracle,,5,,\n");
}

TEST_CASE("A locale with decimal commas does not reach the table", "[eval]") {
  const DecimalComma comma;

  CHECK(to_csv({.series = {{.name = "a", .y = {2.5}}}}) == "series,episode,return,low,high\na,1,2.5,,\n");
}
