// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/history/curate.hpp>

#include "support/catch.hpp"
#include "support/histories.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("The mean return is taken over the episodes that there are", "[history]") {
  const LearningHistory history = telling_history(0, {1, 1, 1});

  CHECK(mean_return(history.view(), 0, 2) == 50);
  CHECK(mean_return(history.view(), 1, 99) == 150);
  CHECK(mean_return(history.view(), 3, 5) == 0);
}

TEST_CASE("Histories that earn nothing at their end are left out", "[history]") {
  const LearningHistory poor = telling_history(0, {1}), rich = telling_history(1, {1, 1}),
                        none = telling_history(2, {});

  const auto kept = keep_solved({poor.view(), rich.view(), none.view()}, 1);

  REQUIRE(kept.size() == 1);
  CHECK(kept[0].info().task == 1);
  CHECK(keep_solved({rich.view()}, 1, 100).empty());
}
