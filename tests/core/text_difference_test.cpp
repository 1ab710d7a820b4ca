// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/core/text_difference.hpp>

#include <string>

#include "support/catch.hpp"

using namespace icrl;

namespace {

/// "first | second": what each of two descriptions has of its own.
std::string between(const std::string& one, const std::string& other) {
  const TextDifference found = text_difference(one, other);
  return found.one + " | " + found.other;
}

}  // namespace

TEST_CASE("Of two descriptions the parts are left that differ", "[core]") {
  CHECK(between("a run", "another one") == "a run | another one");
  CHECK(between("width 64, rate 0.003, seed 1", "width 64, rate 0.001, seed 1") == "rate 0.003 | rate 0.001");
  CHECK(between("width 64, rate 1; seed 1", "width 32, rate 1; seed 2") == "width 64, seed 1 | width 32, seed 2");
  CHECK(between("width 64", "width 64") == " | ");
}

TEST_CASE("A part that only one description has stands behind the one before it", "[core]") {
  CHECK(between("width 64, in order", "width 64, in order, expert actions") == "in order | in order, expert actions");
  CHECK(between("in order", "in order, expert actions") == "in order | in order, expert actions");
  CHECK(between("a 1, b 2, c 3", "a 1, c 3") == "a 1, b 2 | a 1");
  CHECK(between("", "a 1, b 2") == " | a 1, b 2");
}

TEST_CASE("A number in a list is named by what the list is", "[core]") {
  CHECK(between("sees box([0, 0, 0], [1, 1, 1]), does discrete(2)",
                "sees box([0, 0, 0], [1, 9, 1]), does discrete(2)") == "sees box([0, ..., 1 | sees box([0, ..., 9");
  std::string many = "sees 0", fewer = "sees 1";
  for (int i = 0; i < 1000; ++i) many += ", " + std::to_string(i);
  CHECK(between(many, fewer) == "sees 0, 0, 1, 2, 3, 4, ... | sees 1");
}
