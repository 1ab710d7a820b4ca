// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/task_family.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/tiny_environments.hpp"

using namespace icrl;

namespace {

struct Corridors {
  [[nodiscard]] int task_count() const { return 3; }
  [[nodiscard]] test::Corridor make(int task) const { return {.cells = 2 + task}; }
};
struct NotMakingEnvironments {
  [[nodiscard]] int task_count() const { return 3; }
  [[nodiscard]] int make(int task) const { return task; }
};

std::vector<int> sorted(std::vector<int> tasks) {
  std::sort(tasks.begin(), tasks.end());
  return tasks;
}

}  // namespace

TEST_CASE("A family counts its tasks and makes their environments", "[env]") {
  STATIC_REQUIRE(TaskFamily<Corridors>);
  STATIC_REQUIRE(std::same_as<EnvironmentOf<Corridors>, test::Corridor>);
  STATIC_REQUIRE_FALSE(HasOracleReturn<Corridors>);
  STATIC_REQUIRE_FALSE(HasRandomReturn<Corridors>);
  STATIC_REQUIRE_FALSE(TaskFamily<NotMakingEnvironments>);
}

TEST_CASE("The parts of a split are disjoint and as large as asked for", "[env]") {
  const TaskSplit split = split_tasks(81, {.train = 60, .validation = 5, .held_out = 16, .seed = 1});

  CHECK(split.train.size() == 60);
  CHECK(split.validation.size() == 5);
  CHECK(split.held_out.size() == 16);
  std::set<int> all(split.train.begin(), split.train.end());
  all.insert(split.validation.begin(), split.validation.end());
  all.insert(split.held_out.begin(), split.held_out.end());
  CHECK(all.size() == 81);
  CHECK(*all.begin() == 0);
  CHECK(*all.rbegin() == 80);
}

TEST_CASE("Which tasks are held out depends on the seed and their number alone", "[env]") {
  const auto held_out = split_tasks(81, {.train = 65, .held_out = 16, .seed = 1}).held_out;

  CHECK(split_tasks(81, {.train = 10, .validation = 30, .held_out = 16, .seed = 1}).held_out == held_out);
  CHECK(split_tasks(81, {.held_out = 16, .seed = 1}).held_out == held_out);
  CHECK(sorted(split_tasks(81, {.held_out = 16, .seed = 2}).held_out) != sorted(held_out));
  CHECK(split_tasks(81, {.held_out = 8, .seed = 1}).held_out ==
        std::vector<int>(held_out.begin(), held_out.begin() + 8));
}

TEST_CASE("Every task is as likely to be held out as any other", "[env]") {
  std::vector<int> times(10);
  const int seeds = 5000;
  for (int seed = 0; seed < seeds; ++seed)
    for (const int task : split_tasks(10, {.held_out = 3, .seed = static_cast<std::uint64_t>(seed)}).held_out)
      ++times[static_cast<std::size_t>(task)];

  for (const int count : times) CHECK(std::abs(count - 0.3 * seeds) < 5 * std::sqrt(0.3 * 0.7 * seeds));
}

TEST_CASE("A split of more tasks than there are is refused", "[env]") {
  CHECK(test::error_of([] { (void)split_tasks(10, {.train = 6, .validation = 2, .held_out = 3}); }) ==
        "task split: 6 train + 2 validation + 3 held-out tasks are requested, but the family has 10");
  CHECK(test::error_of([] {
          (void)split_tasks(10, {.train = 2'000'000'000, .validation = 2'000'000'000, .held_out = 2'000'000'000});
        }) != "");
  CHECK(test::has(test::error_of([] { (void)split_tasks(10, {.train = -1}); }), "none may be negative"));
  CHECK(split_tasks(0, {}).train.empty());
}
