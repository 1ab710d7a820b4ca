// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/action_permutation.hpp>

#include <algorithm>
#include <numeric>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("Permutations of the actions are numbered in lexicographic order", "[env]") {
  ActionPermutation::Moves moves{};
  std::iota(moves.begin(), moves.end(), 0);
  int number = 0;
  do {
    INFO("permutation " << number);
    CHECK(ActionPermutation{number} == ActionPermutation{moves});
    CHECK(ActionPermutation{moves}.number() == number);
    ++number;
  } while (std::next_permutation(moves.begin(), moves.end()));
  CHECK(number == ActionPermutation::count);
}

TEST_CASE("The first permutation changes nothing, the last one reverses the order of the moves", "[env]") {
  const ActionPermutation first, last{119}, second{1};

  for (int action = 0; action < 5; ++action) {
    CHECK(first.move_of(action) == action);
    CHECK(last.move_of(action) == 4 - action);
  }
  CHECK(second == ActionPermutation{ActionPermutation::Moves{0, 1, 2, 4, 3}});
}

TEST_CASE("The action of a move is the one that makes it", "[env]") {
  for (int number = 0; number < ActionPermutation::count; ++number) {
    const ActionPermutation permutation{number};
    for (int action = 0; action < 5; ++action) CHECK(permutation.action_of(permutation.move_of(action)) == action);
  }
}
