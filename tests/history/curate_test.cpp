// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/history/curate.hpp>

#include <limits>

#include "support/catch.hpp"
#include "support/histories.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("The mean return is taken over the episodes that there are", "[history]") {
  const LearningHistory history = telling_history(0, {1, 1, 1});

  CHECK(mean_return(history.view(), 0, 2) == 50);
  CHECK(mean_return(history.view(), 1, 99) == 150);
  CHECK(mean_return(history.view(), 3, 5) == 0);
  CHECK(mean_return(history.view(), -2, 3) == mean_return(history.view(), 0, 1));
  CHECK(mean_return(history.view(), 1, std::numeric_limits<int>::max()) == 150);
  CHECK(mean_return(history.view(), 1, -1) == 0);
}

TEST_CASE("Histories that earn nothing at their end are left out", "[history]") {
  const LearningHistory poor = telling_history(0, {1}), rich = telling_history(1, {1, 1}),
                        none = telling_history(2, {});

  const auto kept = keep_solved({poor.view(), rich.view(), none.view()}, 1);

  REQUIRE(kept.size() == 1);
  CHECK(kept[0].info().task == 1);
  CHECK(keep_solved({}, 1).empty());
  CHECK(error_of([&] { (void)keep_solved({poor.view()}, 0, -1); }) ==
        "keep_solved: episodes is 0, it must be at least 1");
}

TEST_CASE("A choice that leaves nothing says how close the best history came", "[history]") {
  const LearningHistory poor = telling_history(0, {1}), rich = telling_history(1, {1, 1}),
                        none = telling_history(2, {});

  CHECK(error_of([&] {
          (void)keep_solved({poor.view(), rich.view(), none.view()}, 1, 100);
        }) ==
        "keep_solved: of 3 histories none earns more than 100 in its last 1 episodes, the best of them 100 (record "
        "longer ones, or lower least_return)");
  CHECK(has(error_of([&] { (void)keep_solved({none.view()}, 1, -5); }), "the best of them -inf"));
}

TEST_CASE("Where rewards are costs, histories above the least return are kept", "[history]") {
  const LearningHistory poor = telling_history(0, {1}), none = telling_history(2, {});

  CHECK(keep_solved({poor.view(), none.view()}, 1, -5).size() == 1);
}
