// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/collect.hpp>

#include <array>
#include <cstddef>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include <icrl/env/dark_room.hpp>
#include <icrl/learner/q_learning.hpp>
#include <icrl/learner/systematic_explorer.hpp>

#include "support/catch.hpp"
#include "support/histories.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

const std::vector<int> some_tasks{7, 0, 40};

QLearning make_q(int, const DarkRoom& room) {
  return {{.episodes = 30}, room.observation_space(), room.action_space()};
}

/// Q-learners side by side, each with a table of its own or all with the first one's.
struct Team {
  std::vector<QLearning> learners;
  bool is_sharing;

  [[nodiscard]] int member_count() const { return static_cast<int>(learners.size()); }
  void act(const GroupObservations& group, std::span<float> actions, std::span<Rng> rngs) {
    for (std::size_t r = 0; r < group.members.size(); ++r) {
      const auto member = static_cast<std::size_t>(group.members[r]);
      of(member).act(group.observations.subspan(2 * r, 2), actions.subspan(r, 1), rngs[member]);
    }
  }
  void learn(int member, const Transition& transition) { of(static_cast<std::size_t>(member)).learn(transition); }

private:
  QLearning& of(std::size_t member) { return learners[is_sharing ? 0 : member]; }
};
static_assert(GroupLearner<Team> && !SharesWeights<Team>);
struct SharingTeam : Team {
  static constexpr bool shares_weights = true;
};
static_assert(SharesWeights<SharingTeam>);

auto team_maker(int members, bool is_sharing = false) {
  return [=](int task, const DarkRoom& room) {
    return Team{std::vector(static_cast<std::size_t>(members), make_q(task, room)), is_sharing};
  };
}

}  // namespace

TEST_CASE("Histories come task by task and say where they are from", "[learner]") {
  const auto histories =
      collect(DarkRooms{}, some_tasks, make_q,
              {.histories_per_task = 2, .episodes = 5, .seed = 3, .thread_count = 1, .algorithm = "Q"});

  REQUIRE(histories.size() == 6);
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK(histories[i].info().task == some_tasks[i / 2]);
    CHECK(histories[i].info().algorithm == "Q");
    CHECK(histories[i].info().seed == 3);
    CHECK(histories[i].episode_count() == 5);
  }
  CHECK(bytes_of(histories[0].view()) != bytes_of(histories[1].view()));
}

TEST_CASE("A file of histories has the same bytes on any number of threads", "[learner]") {
  const TemporaryFolder folder;
  const auto collected = [&](int threads, std::uint64_t seed) {
    const auto path = folder / ("h" + std::to_string(threads) + std::to_string(seed));
    HistoryWriter writer{path};
    collect_to(writer, DarkRooms{}, some_tasks, make_q,
               {.histories_per_task = 25, .episodes = 20, .seed = seed, .thread_count = threads});
    return read_bytes(path);
  };
  const auto one = collected(1, 4);

  CHECK(one.size() > 75 * 400);
  CHECK(collected(2, 4) == one);
  CHECK(collected(5, 4) == one);
  CHECK(collected(1, 5) != one);
}

TEST_CASE("Collecting to memory and to a file gives the same histories", "[learner]") {
  const TemporaryFolder folder;
  const CollectConfig config{.histories_per_task = 20, .episodes = 4, .thread_count = 2};
  HistoryWriter writer{folder / "h"};
  collect_to(writer, DarkRooms{}, some_tasks, make_q, config);
  const auto in_memory = collect(DarkRooms{}, some_tasks, make_q, config);

  const HistoryFile file{folder / "h"};

  REQUIRE(file.history_count() == 60);
  for (int i = 0; i < 60; ++i)
    REQUIRE(bytes_of(file.history(i)) == bytes_of(in_memory[static_cast<std::size_t>(i)].view()));
}

TEST_CASE("A history depends on its task and number, not on the tasks beside it", "[learner]") {
  const CollectConfig config{.histories_per_task = 2, .episodes = 4, .thread_count = 2};
  const auto all = collect(DarkRooms{}, some_tasks, make_q, config);

  const auto alone = collect(DarkRooms{}, std::array{40}, make_q, config);

  CHECK(bytes_of(alone[1].view()) == bytes_of(all[5].view()));
}

TEST_CASE("Progress is told up to the end", "[learner]") {
  std::vector<std::pair<std::size_t, std::size_t>> told;
  const auto tell = [&](std::size_t done, std::size_t total) { told.emplace_back(done, total); };

  (void)collect(DarkRooms{}, some_tasks, make_q, {.histories_per_task = 10, .episodes = 1, .thread_count = 1}, tell);

  REQUIRE(told.size() == 2);
  CHECK(told[0] == std::pair<std::size_t, std::size_t>{16, 30});
  CHECK(told[1] == std::pair<std::size_t, std::size_t>{30, 30});
}

TEST_CASE("Expert actions are collected where they are asked for", "[learner]") {
  const auto make = [](int, const DarkRoom&) { return SystematicExplorer{GridMoves{9}, {.noise = 0.5}}; };

  const auto histories =
      collect(DarkRooms{}, some_tasks, make, {.episodes = 3, .thread_count = 1, .with_expert_action = true});

  int different = 0;
  std::array<float, 1> taken{}, expert{};
  for (int t = 0; t < 20; ++t) {
    histories[0].episode(0).action(t, taken);
    histories[0].episode(0).expert_action(t, expert);
    different += taken != expert;
  }
  CHECK((different > 0 && different < 20));
}

TEST_CASE("A maker's generator is its own: what it draws changes no other number of the history", "[learner]") {
  const CollectConfig config{.histories_per_task = 3, .episodes = 10, .seed = 8, .thread_count = 2};
  const auto without = collect(DarkRooms{}, some_tasks, make_q, config);
  const auto draws = [](int task, const DarkRoom& room, Rng& rng) {
    for (int i = 0; i < 100; ++i) (void)rng.bits();
    return make_q(task, room);
  };

  const auto with = collect(DarkRooms{}, some_tasks, draws, config);

  for (std::size_t i = 0; i < with.size(); ++i) CHECK(bytes_of(with[i].view()) == bytes_of(without[i].view()));
}

TEST_CASE("A maker's generator depends on seed, task and number of the history alone", "[learner]") {
  const auto drawn = [](std::vector<int> tasks, int per_task, std::uint64_t seed) {
    std::vector<std::uint64_t> numbers;
    const auto make = [&](int task, const DarkRoom& room, Rng& rng) {
      numbers.push_back(rng.bits());
      return make_q(task, room);
    };
    (void)collect(DarkRooms{}, tasks, make,
                  {.histories_per_task = per_task, .episodes = 1, .seed = seed, .thread_count = 1});
    return numbers;
  };
  const auto all = drawn({7, 0, 40}, 2, 1);

  CHECK(std::set<std::uint64_t>(all.begin(), all.end()).size() == 6);
  CHECK(drawn({40}, 2, 1) == std::vector<std::uint64_t>{all[4], all[5]});
  CHECK(drawn({40}, 1, 2)[0] != all[4]);
  // Neither the environment's stream nor the learner's, see run().
  const Rng life = Rng{1, 40}.fork(0);
  CHECK((all[4] != life.fork(0).bits() && all[4] != life.fork(1).bits()));
}

TEST_CASE("A group's members record the histories that its learners record alone", "[learner]") {
  const CollectConfig config{.histories_per_task = 6, .episodes = 8, .seed = 2, .thread_count = 2, .algorithm = "Q"};
  const auto alone = collect(DarkRooms{}, some_tasks, make_q, config);
  CollectConfig in_groups = config;
  in_groups.group_size = 3;

  const auto grouped = collect(DarkRooms{}, some_tasks, team_maker(3), in_groups);

  REQUIRE(grouped.size() == alone.size());
  for (std::size_t i = 0; i < alone.size(); ++i) {
    CHECK(bytes_of(grouped[i].view()) == bytes_of(alone[i].view()));
    CHECK(grouped[i].info().task == some_tasks[i / 6]);
    CHECK(grouped[i].info().algorithm == "Q");
  }
}

TEST_CASE("A group that shares its weights is made anew for each group, on any number of threads", "[learner]") {
  const auto collected = [](int groups, int threads) {
    return collect(DarkRooms{}, std::array{40}, team_maker(4, true),
                   {.histories_per_task = 4 * groups, .group_size = 4, .episodes = 12, .thread_count = threads});
  };
  const auto two_groups = collected(2, 1), on_threads = collected(2, 3), one_group = collected(1, 1);
  const auto alone = collect(DarkRooms{}, std::array{40}, make_q, {.histories_per_task = 4, .episodes = 12});

  REQUIRE(two_groups.size() == 8);
  for (std::size_t i = 0; i < 8; ++i) CHECK(bytes_of(on_threads[i].view()) == bytes_of(two_groups[i].view()));
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(bytes_of(one_group[i].view()) == bytes_of(two_groups[i].view()));
    CHECK(bytes_of(one_group[i].view()) != bytes_of(alone[i].view()));
  }
}

TEST_CASE("Progress of groups counts histories", "[learner]") {
  std::vector<std::pair<std::size_t, std::size_t>> told;
  const auto tell = [&](std::size_t done, std::size_t total) { told.emplace_back(done, total); };

  (void)collect(DarkRooms{}, some_tasks, team_maker(8),
                {.histories_per_task = 8, .group_size = 8, .episodes = 1, .thread_count = 1}, tell);

  REQUIRE(told.size() == 2);
  CHECK(told[0] == std::pair<std::size_t, std::size_t>{16, 24});
  CHECK(told[1] == std::pair<std::size_t, std::size_t>{24, 24});
}

TEST_CASE("Groups that do not fit what is to be collected are refused", "[learner]") {
  const auto refusal = [](auto make_learner, const CollectConfig& config) {
    return error_of([&] { (void)collect(DarkRooms{}, std::array{7}, make_learner, config); });
  };

  CHECK(refusal(team_maker(2), {.histories_per_task = 2, .group_size = 2, .episodes = 1}).empty());
  CHECK(has(refusal(team_maker(2), {.group_size = 0}), "group_size is 0, it must be at least 1"));
  CHECK(has(refusal(team_maker(2), {.histories_per_task = 3, .group_size = 2}),
            "3 histories per task cannot be recorded by whole groups of 2"));
  CHECK(refusal(team_maker(3), {.histories_per_task = 4, .group_size = 2}) ==
        "collect: task 7, histories 0 to 1: the maker returns a group of 3 learners, but group_size is 2");
  CHECK(has(refusal(make_q, {.histories_per_task = 2, .group_size = 2}),
            "group_size is 2, but the maker returns a single learner, not a GroupLearner"));
}

TEST_CASE("Nothing to collect gives nothing", "[learner]") {
  CHECK(collect(DarkRooms{}, std::vector<int>{}, make_q, {}).empty());
  CHECK(collect(DarkRooms{}, some_tasks, make_q, {.histories_per_task = 0}).empty());
}

TEST_CASE("Collecting refuses tasks that are none and configurations that make no sense", "[learner]") {
  const auto refusal = [](std::vector<int> tasks, const CollectConfig& config) {
    return error_of([&] { (void)collect(DarkRooms{}, tasks, make_q, config); });
  };

  CHECK(has(refusal({81}, {}), "task 81 is not one of the family's 81 tasks"));
  CHECK(has(refusal({-1}, {}), "task -1"));
  CHECK(has(refusal({0}, {.episodes = -1}), "neither may be negative"));
  CHECK(has(refusal({0}, {.thread_count = -1}), "thread_count is -1"));
}

TEST_CASE("An error in one history reaches the caller", "[learner]") {
  const auto make = [](int task, const DarkRoom& room) {
    if (task == 40) fail("no learner for task {}", task);
    return make_q(task, room);
  };

  CHECK(error_of([&] { (void)collect(DarkRooms{}, some_tasks, make, {.episodes = 1, .thread_count = 2}); }) ==
        "collect: task 40, history 0: no learner for task 40");
}
