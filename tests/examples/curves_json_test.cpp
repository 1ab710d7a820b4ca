// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include "support/curves_json.hpp"

#include <string>
#include <vector>

#include <icrl/env/dark_room.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// Two runs of three episodes on each of two tasks.
LearningCurves some_curves() {
  LearningCurves curves{{3, 80}, 2, 3};
  for (int task = 0; task < 2; ++task)
    for (int run = 0; run < 2; ++run)
      for (std::size_t e = 0; e < 3; ++e) curves.returns(task, run)[e] = 100 * task + 10 * run + static_cast<int>(e);
  return curves;
}

}  // namespace

TEST_CASE("Curves come back from their JSON", "[examples]") {
  const LearningCurves curves = some_curves();

  const LearningCurves again = example::curves_from_json(example::to_json(curves), DarkRooms{}, "a.json");

  CHECK(std::vector<int>(again.tasks().begin(), again.tasks().end()) == std::vector<int>{3, 80});
  REQUIRE(again.run_count() == 2);
  for (int task = 0; task < 2; ++task)
    for (int run = 0; run < 2; ++run)
      CHECK(std::vector<double>(again.returns(task, run).begin(), again.returns(task, run).end()) ==
            std::vector<double>(curves.returns(task, run).begin(), curves.returns(task, run).end()));
}

TEST_CASE("Curves of a changed file are refused", "[examples]") {
  const auto refusal = [](const auto& change) {
    Json json = example::to_json(some_curves());
    change(json);
    return error_of([&] { (void)example::curves_from_json(json, DarkRooms{}, "a.json"); });
  };

  CHECK(refusal([](Json& json) { json["tasks"][1] = 81; }) == "a.json: task 81 is not one of the family's 81 tasks");
  CHECK(has(refusal([](Json& json) { json["tasks"][0] = -1; }), "a.json: task -1 is not one"));
  CHECK(refusal([](Json& json) {
          json["returns"].push_back({1, 2, 3});
        }) == "a.json: curves of 2 tasks and 2 runs per task, but returns of 5 runs");
  CHECK(has(refusal([](Json& json) { json["runs"] = 1; }), "1 runs per task, but returns of 4 runs"));
  CHECK(has(refusal([](Json& json) { json["runs"] = -2; }), "-2 runs per task"));
  CHECK(has(refusal([](Json& json) { json["returns"][3] = {1}; }), "run 1 of task 1 has 1 returns, the first has 3"));
}
