// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/systematic_explorer.hpp>

#include <array>
#include <cstddef>
#include <set>
#include <vector>

#include <icrl/env/dark_room.hpp>
#include <icrl/learner/run.hpp>

#include "support/catch.hpp"
#include "support/histories.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

SystematicExplorer<GridMoves> explorer(double noise, int side = 9) {
  return SystematicExplorer{GridMoves{side}, {noise}};
}

/// Mean return of each of the first episodes, over all goals and `runs` runs.
std::vector<double> returns_by_episode(double noise, int episodes, std::uint64_t runs) {
  const DarkRooms rooms;
  std::vector<double> returns(static_cast<std::size_t>(episodes));
  for (int task = 0; task < rooms.task_count(); ++task)
    for (std::uint64_t r = 0; r < runs; ++r) {
      auto learner = explorer(noise);
      const LearningHistory history =
          run(learner, rooms.make(task), episodes, Rng{static_cast<std::uint64_t>(task), r});
      for (int e = 0; e < episodes; ++e)
        returns[static_cast<std::size_t>(e)] += history.episode(e).total_reward() / (81.0 * static_cast<double>(runs));
    }
  return returns;
}

}  // namespace

TEST_CASE("Every step of the first episodes reaches a new cell or the nearest one", "[learner]") {
  auto learner = explorer(0);
  // The goal is never reached: the reward is taken away.
  struct Unpaid : DarkRoom {
    using DarkRoom::DarkRoom;
    StepResult step(int action, Rng& rng) {
      StepResult result = DarkRoom::step(action, rng);
      result.reward = 0;
      return result;
    }
  };
  const LearningHistory history = run(learner, Unpaid{{}, {0, 0}}, 6, Rng{3});

  std::set<int> visited;
  std::vector<std::size_t> visited_after;
  for (int e = 0; e < 6; ++e) {
    for (int t = 1; t <= 20; ++t) {
      std::array<float, 2> cell;
      history.episode(e).observation(t, cell);
      visited.insert(GridMoves{9}.cell_of(cell));
    }
    visited_after.push_back(visited.size());
  }
  CHECK(visited_after[0] == 20);
  CHECK(visited_after[1] >= 37);
  CHECK(visited_after[5] == 81);
}

TEST_CASE("Once rewarded it goes straight back and stays", "[learner]") {
  const DarkRooms rooms;
  for (int task = 0; task < rooms.task_count(); ++task) {
    auto learner = explorer(0);
    const LearningHistory history = run(learner, rooms.make(task), 10, Rng{5});
    bool was_rewarded = false;
    for (int e = 0; e < 10; ++e) {
      const double earned = history.episode(e).total_reward();
      if (was_rewarded) CHECK(earned == Approx(rooms.oracle_return(task)));
      was_rewarded = was_rewarded || earned > 0;
    }
    CHECK(was_rewarded);
  }
}

TEST_CASE("Of two new cells as near it takes the one that would be left alone", "[learner]") {
  SystematicExplorer learner{GridMoves{3}, {0}};
  Rng rng{1};
  // It stands at (0, 1). To the left (0, 0) is a corner between visited cells, to the right (0, 2) has (1, 2) beside
  // it.
  for (const auto& cell : {std::array{0.0f, 1.0f}, std::array{1.0f, 0.0f}, std::array{1.0f, 1.0f}})
    learner.learn({.next_observation = cell});
  for (int i = 0; i < 50; ++i) {
    std::array<float, 1> action;
    learner.act(std::array{0.0f, 1.0f}, action, rng);
    REQUIRE(action[0] == 4);
  }
}

TEST_CASE("When all cells have been visited in vain it goes on to those visited least", "[learner]") {
  SystematicExplorer learner{GridMoves{2}, {0}};
  Rng rng{1};
  std::vector<int> visits(4);
  int cell = 0;
  for (int t = 0; t < 400; ++t) {
    const std::array observation{static_cast<float>(cell / 2), static_cast<float>(cell % 2)};
    std::array<float, 1> action;
    learner.act(observation, action, rng);
    cell = GridMoves{2}.moved(cell, static_cast<int>(action[0]));
    const std::array next{static_cast<float>(cell / 2), static_cast<float>(cell % 2)};
    learner.learn({observation, action, 0, next, false, false});
    ++visits[static_cast<std::size_t>(cell)];
  }

  for (const int count : visits) CHECK(std::abs(count - 100) <= 2);
}

TEST_CASE("Its noise-free wish is on offer as the expert's action", "[learner]") {
  auto learner = explorer(1);
  Rng rng{1};
  std::array<float, 1> action, expert;
  learner.learn({{}, {}, 1, std::array{0.0f, 4.0f}, false, false});
  for (int t = 0; t < 50; ++t) {
    learner.act(std::array{4.0f, 4.0f}, action, rng);
    learner.expert_action(expert);
    REQUIRE(expert[0] == 1);  // up
  }
}

TEST_CASE("Its returns are those of a learner that wastes no step", "[learner]") {
  // An ideal learner gets 2.59, 6.77, 10.89, 13.95, 16.05, 16.54.
  constexpr std::array floor{2.3, 6.4, 10.1, 13.4, 15.7, 16.3};
  const auto returns = returns_by_episode(0, 7, 25);

  for (std::size_t e = 0; e < floor.size(); ++e) CHECK(returns[e] > floor[e]);
  CHECK(returns[6] == Approx(16.54).margin(0.01));
}

TEST_CASE("Noise costs it little", "[learner]") {
  const auto returns = returns_by_episode(0.05, 8, 10);

  CHECK(returns[4] > 14.4);
  CHECK(returns[7] == Approx(15.7).margin(0.15));
}

TEST_CASE("Noise out of range is refused by the explorer", "[learner]") {
  CHECK(has(error_of([] { explorer(1.5); }), "noise is 1.5"));
}

TEST_CASE("Without noise and random ties its ways are the same whatever the generator", "[learner]") {
  const DarkRooms rooms;
  const auto cells_of = [&](bool random_ties, std::uint64_t seed) {
    SystematicExplorer learner{GridMoves{9}, {.noise = 0, .random_ties = random_ties}};
    const LearningHistory history = run(learner, rooms.make(0), 4, Rng{seed});
    std::vector<int> cells;
    for (int e = 0; e < 4; ++e)
      for (int t = 0; t <= 20; ++t) {
        std::array<float, 2> cell{};
        history.episode(e).observation(t, cell);
        cells.push_back(GridMoves{9}.cell_of(cell));
      }
    return cells;
  };

  CHECK(cells_of(false, 1) == cells_of(false, 2));
  CHECK(cells_of(true, 1) != cells_of(true, 2));
}

TEST_CASE("An explorer refuses rooms that its moves are not those of, and asks nothing of other moves", "[learner]") {
  struct OwnMoves {
    [[nodiscard]] int cell_count() const { return 81; }
    [[nodiscard]] int action_count() const { return 5; }
    [[nodiscard]] int cell_of(std::span<const float> observation) const { return GridMoves{9}.cell_of(observation); }
    [[nodiscard]] int moved(int cell, int action) const { return GridMoves{9}.moved(cell, action); }
    [[nodiscard]] int distance(int from, int to) const { return GridMoves{9}.distance(from, to); }
  };
  auto learner = explorer(0);
  SystematicExplorer walker{OwnMoves{}};
  const DarkRoom room{{}, {0, 0}}, larger{{.side = 40}, {0, 0}};

  CHECK(has(error_of([&] { (void)run(learner, larger, 1, Rng{1}); }),
            "systematic explorer: its observation space and the environment's differ: multi_discrete(9, 9) and "
            "multi_discrete(40, 40)"));
  CHECK_NOTHROW(run(learner, room, 1, Rng{1}));
  CHECK_NOTHROW(run(walker, room, 1, Rng{1}));
  CHECK_FALSE(ExpectsSpaces<SystematicExplorer<OwnMoves>>);
}
