// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/dark_room.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <set>
#include <vector>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/forked_process.hpp"

using namespace icrl;

namespace {

/// The room told again, backwards in time and independently of the header: value of the best (or a random) play from
/// each cell, with t steps left. `paid`: whether the goal was reached before.
class Backward {
public:
  Backward(const DarkRoomOptions& options, int goal, bool best)
      : options_{options}, goal_{goal}, best_{best}, cells_{options.side * options.side} {
    std::vector<std::array<double, 2>> value(static_cast<std::size_t>(cells_)), next = value;
    for (int t = 0; t < options.horizon; ++t) {
      for (int cell = 0; cell < cells_; ++cell)
        for (const bool paid : {false, true}) next[static_cast<std::size_t>(cell)][paid] = value_of(cell, paid, value);
      std::swap(value, next);
    }
    for (const auto& of_cell : value) values_.push_back(of_cell[0]);
  }

  [[nodiscard]] double expected() const {
    const auto at = [this](int row, int column) {
      return values_[static_cast<std::size_t>(row * options_.side + column)];
    };
    if (options_.start == DarkRoomStart::corner) return at(0, 0);
    if (options_.start == DarkRoomStart::center) return at(options_.side / 2, options_.side / 2);
    double total = 0;
    for (const double value : values_) total += value;
    return total / cells_;
  }

private:
  using Values = std::vector<std::array<double, 2>>;

  double value_of(int cell, bool paid, const Values& later) const {
    const int n = options_.side, row = cell / n, column = cell % n;
    const std::array<int, 5> neighbors{cell, row > 0 ? cell - n : cell, column + 1 < n ? cell + 1 : cell,
                                       row + 1 < n ? cell + n : cell, column > 0 ? cell - 1 : cell};
    double sum = 0, most = 0;
    for (const int to : neighbors) {
      const bool reached = to == goal_;
      const double reward = reached && !(options_.reward_once && paid) ? 1 : 0;
      const bool over = reached && options_.terminate_at_goal;
      const double value = reward + (over ? 0 : later[static_cast<std::size_t>(to)][paid || reached]);
      sum += value;
      most = std::max(most, value);
    }
    return best_ ? most : sum / 5;
  }

  DarkRoomOptions options_;
  int goal_;
  bool best_;
  int cells_;
  std::vector<double> values_;
};

DarkRoom begun(const DarkRoomOptions& options, Cell goal, Rng& rng) {
  DarkRoom room{options, goal};
  room.reset(rng);
  return room;
}

/// The return of an episode with these actions.
double play(DarkRoom room, const std::vector<int>& actions, Rng& rng) {
  double total = 0;
  for (const int action : actions) {
    const StepResult result = room.step(action, rng);
    total += static_cast<double>(result.reward);
    if (result.terminated || result.truncated) break;
  }
  return total;
}

}  // namespace

TEST_CASE("Moves go one cell and stop at walls", "[env]") {
  CHECK(DarkRoom::moved({4, 4}, DarkRoom::stay, 9) == Cell{4, 4});
  CHECK(DarkRoom::moved({4, 4}, DarkRoom::up, 9) == Cell{3, 4});
  CHECK(DarkRoom::moved({4, 4}, DarkRoom::right, 9) == Cell{4, 5});
  CHECK(DarkRoom::moved({4, 4}, DarkRoom::down, 9) == Cell{5, 4});
  CHECK(DarkRoom::moved({4, 4}, DarkRoom::left, 9) == Cell{4, 3});
  CHECK(DarkRoom::moved({0, 8}, DarkRoom::up, 9) == Cell{0, 8});
  CHECK(DarkRoom::moved({0, 8}, DarkRoom::right, 9) == Cell{0, 8});
  CHECK(DarkRoom::moved({8, 0}, DarkRoom::down, 9) == Cell{8, 0});
  CHECK(DarkRoom::moved({8, 0}, DarkRoom::left, 9) == Cell{8, 0});
}

TEST_CASE("The goal pays after each step that ends on it, until the horizon", "[env]") {
  Rng rng{0};
  DarkRoom room = begun({.side = 3, .horizon = 4}, {0, 1}, rng);
  std::array<float, 2> seen{};

  room.observe(seen);
  CHECK(seen == std::array{1.0f, 1.0f});
  CHECK(room.step(DarkRoom::up, rng).reward == 1);
  room.observe(seen);
  CHECK(seen == std::array{0.0f, 1.0f});
  CHECK(room.step(DarkRoom::up, rng).reward == 1);  // against the wall, still on the goal
  CHECK(room.step(DarkRoom::left, rng).reward == 0);
  const StepResult last = room.step(DarkRoom::right, rng);

  CHECK(last.reward == 1);
  CHECK(last.truncated);
  CHECK_FALSE(last.terminated);
  room.reset(rng);
  CHECK(room.position() == Cell{1, 1});
  CHECK_FALSE(room.step(DarkRoom::stay, rng).truncated);
}

TEST_CASE("With reward_once only the first arrival of an episode pays", "[env]") {
  Rng rng{0};
  DarkRoom room = begun({.side = 3, .horizon = 5, .reward_once = true}, {0, 1}, rng);

  CHECK(room.step(DarkRoom::up, rng).reward == 1);
  CHECK(room.step(DarkRoom::stay, rng).reward == 0);
  room.reset(rng);
  CHECK(room.step(DarkRoom::up, rng).reward == 1);
}

TEST_CASE("With terminate_at_goal the arrival ends the episode, which then is not truncated", "[env]") {
  Rng rng{0};
  DarkRoom room = begun({.side = 3, .horizon = 1, .terminate_at_goal = true}, {0, 1}, rng);

  const StepResult result = room.step(DarkRoom::up, rng);

  CHECK(result.reward == 1);
  CHECK(result.terminated);
  CHECK_FALSE(result.truncated);
}

TEST_CASE("Episodes start in the center, the corner or anywhere", "[env]") {
  Rng rng{1};
  CHECK(begun({.side = 9}, {0, 0}, rng).position() == Cell{4, 4});
  CHECK(begun({.side = 4}, {0, 0}, rng).position() == Cell{2, 2});
  CHECK(begun({.start = DarkRoomStart::corner}, {5, 5}, rng).position() == Cell{0, 0});

  std::vector<int> times(9);
  DarkRoom room{{.side = 3, .start = DarkRoomStart::random}, {0, 0}};
  for (int i = 0; i < 9000; ++i) {
    room.reset(rng);
    ++times[static_cast<std::size_t>(3 * room.position().row + room.position().column)];
  }
  for (const int count : times) CHECK(std::abs(count - 1000) < 150);
}

TEST_CASE("Oracle and random return of the Dark Room are these", "[env]") {
  const DarkRooms rooms;
  double oracle = 0, random = 0;
  for (int task = 0; task < 81; ++task) {
    oracle += rooms.oracle_return(task) / 81;
    random += rooms.random_return(task) / 81;
  }

  CHECK(oracle == Approx(16.5432).margin(5e-5));
  CHECK(random == Approx(0.2469).margin(5e-5));
  CHECK(rooms.oracle_return(4 * 9 + 4) == 20);  // begins on the goal, stays
  CHECK(rooms.oracle_return(0) == 13);          // eight steps away, the eighth one pays
}

TEST_CASE("Oracle and random return are what going backward through the room gives", "[env]") {
  for (const int side : {1, 2, 5, 9})
    for (const int horizon : {1, 3, 20})
      for (const auto start : {DarkRoomStart::center, DarkRoomStart::corner, DarkRoomStart::random})
        for (const bool once : {false, true})
          for (const bool terminate : {false, true}) {
            const DarkRoomOptions options{side, horizon, start, once, terminate};
            const DarkRooms rooms{options};
            double worst = 0;
            for (int task = 0; task < rooms.task_count(); ++task) {
              const double best = Backward{options, task, true}.expected();
              const double random = Backward{options, task, false}.expected();
              worst = std::max(
                  {worst, std::abs(rooms.oracle_return(task) - best), std::abs(rooms.random_return(task) - random)});
            }
            INFO("side " << side << ", horizon " << horizon << ", start " << static_cast<int>(start) << ", once "
                         << once << ", terminate " << terminate);
            CHECK(worst < 1e-12);
          }
}

TEST_CASE("Oracle and random return are best and mean of all action sequences", "[env]") {
  constexpr int horizon = 5, sequence_count = 5 * 5 * 5 * 5 * 5;
  Rng rng{0};
  for (const bool once : {false, true})
    for (const bool terminate : {false, true}) {
      const DarkRooms rooms{{.side = 3, .horizon = horizon, .reward_once = once, .terminate_at_goal = terminate}};
      for (int task = 0; task < 9; ++task) {
        double best = 0, sum = 0;
        for (int number = 0; number < sequence_count; ++number) {
          std::vector<int> actions;
          for (int t = 0, rest = number; t < horizon; ++t, rest /= 5) actions.push_back(rest % 5);
          const double total = play(begun(rooms.options(), rooms.make(task).goal(), rng), actions, rng);
          best = std::max(best, total);
          sum += total;
        }
        CHECK(rooms.oracle_return(task) == best);
        CHECK(rooms.random_return(task) == Approx(sum / sequence_count).epsilon(1e-12));
      }
    }
}

TEST_CASE("A Dark Room's tasks are its goal cells, row by row", "[env]") {
  const DarkRooms rooms{{.side = 7}};
  CHECK(rooms.task_count() == 49);
  CHECK(rooms.make(0).goal() == Cell{0, 0});
  CHECK(rooms.make(17).goal() == Cell{2, 3});
  CHECK(rooms.make(17).options().side == 7);
  CHECK(rooms.make(17).observation_space() == Space{MultiDiscrete{{7, 7}}});
  CHECK(rooms.make(17).action_space() == Space{Discrete{5}});
}

TEST_CASE("A Dark Room that cannot be is refused", "[env]") {
  const auto error_of_room = [](const DarkRoomOptions& options, Cell goal) {
    return test::error_of([&] { DarkRoom{options, goal}; });
  };
  CHECK(test::has(error_of_room({.side = 0}, {0, 0}), "side is 0 cells"));
  CHECK(test::has(error_of_room({.horizon = 0}, {0, 0}), "horizon is 0 steps"));
  for (const Cell goal : {Cell{-1, 0}, Cell{0, -1}, Cell{9, 0}, Cell{0, 9}})
    CHECK(test::has(error_of_room({}, goal), "lies outside the 9 x 9 cells"));
  CHECK(test::has(test::error_of([] { DarkRooms{{.side = 50000}}; }), "side is 50000 cells"));
  CHECK_FALSE(test::error_of([] { (void)DarkRooms{}.make(81); }).empty());
  CHECK_FALSE(test::error_of([] { (void)DarkRooms{}.make(-1); }).empty());
}

TEST_CASE("Stepping, observing and resetting a Dark Room allocates nothing", "[env]") {
  DarkRoom room{{.start = DarkRoomStart::random}, {1, 2}};
  std::array<float, 2> seen{};
  Rng rng{0};

  const test::AllocationCount allocations;
  for (int i = 0; i < 1000; ++i) {
    if (room.step(rng.below(5), rng).truncated) room.reset(rng);
    room.observe(seen);
  }

  CHECK(allocations.count() == 0);
}

#if !defined(NDEBUG) || defined(ICRL_ENABLE_ASSERTS)
TEST_CASE("The move of an action that a Dark Room has not is asserted against", "[env]") {
  CHECK(test::holds_in_forked_process([] {
    ::close(STDERR_FILENO);
    std::signal(SIGABRT, [](int) { ::_exit(0); });
    const volatile int action = 300;
    (void)DarkRoomSymmetry{9, 1}.map_action(action);
    return false;
  }));
}
#endif
