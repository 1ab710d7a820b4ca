// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/check_symmetries.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include <icrl/env/dark_room.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// What is wrong with the symmetries of a family.
enum class Fault {
  none,
  task,
  outside,
  merged_tasks,
  action,
  merged_actions,
  observation,
  outside_observation,
  no_identity,
  no_symmetry
};

/// A line of cells, walked to the left (0), the right (1) or not (2), that pays in one of them; its mirror is a
/// symmetry. Walking off an end is forbidden.
struct Line {
  int cells, goal;
  bool begins_anywhere = false, pays_left_double = false, ends_at_goal = true, rests_left = true;
  int position = 0, time = 0;

  [[nodiscard]] Space observation_space() const { return Discrete{cells}; }
  [[nodiscard]] Space action_space() const { return Discrete{3}; }
  void reset(Rng& rng) {
    position = begins_anywhere ? rng.below(cells) : cells / 2;
    time = 0;
  }
  void observe(std::span<float> out) const { out[0] = static_cast<float>(position); }
  void action_mask(std::span<std::uint8_t> allowed) const {
    allowed[0] = position > 0;
    allowed[1] = position < cells - 1;
    allowed[2] = rests_left || position >= cells / 2;
  }
  StepResult step(int action, Rng&) {
    position += action == 0 ? -1 : action == 1 ? 1 : 0;
    const float pay = pays_left_double && action == 0 ? 2.0f : 1.0f;
    const bool is_there = position == goal;
    return {is_there ? pay : 0.0f, is_there && ends_at_goal, ++time == 8};
  }
};

struct Mirror {
  int cells;
  bool mirrors;
  Fault fault = Fault::none;

  void map_observation(std::span<const float> from, std::span<float> to) const {
    to[0] = mirrors && fault != Fault::observation ? static_cast<float>(cells - 1) - from[0] : from[0];
    if (mirrors && fault == Fault::outside_observation) to[0] += 10;
  }
  void map_action(std::span<const float> from, std::span<float> to) const {
    to[0] = mirrors && fault != Fault::action && from[0] < 2 ? 1 - from[0] : from[0];
    if (mirrors && fault == Fault::merged_actions) to[0] = 2;
  }
  [[nodiscard]] int map_task(int task) const {
    if (!mirrors || fault == Fault::task) return task;
    if (fault == Fault::outside) return cells;
    return fault == Fault::merged_tasks ? 0 : cells - 1 - task;
  }
};

struct Lines {
  Fault fault = Fault::none;
  int cells = 5;
  bool begins_anywhere = false, pays_left_double = false, left_goals_end = true, rests_left = true;

  [[nodiscard]] int task_count() const { return cells; }
  [[nodiscard]] Line make(int task) const {
    return {cells, task, begins_anywhere, pays_left_double, left_goals_end || task >= cells / 2, rests_left};
  }
  [[nodiscard]] std::vector<Mirror> symmetries() const {
    if (fault == Fault::no_symmetry) return {};
    return {{cells, fault == Fault::no_identity}, {cells, true, fault}};
  }
};
static_assert(HasSymmetries<Lines> && HasActionMask<Line>);

/// The same symmetries in ranges of other kinds.
struct ArrayOfLines : Lines {
  [[nodiscard]] std::array<Mirror, 2> symmetries() const { return {Mirror{cells, false}, Mirror{cells, true}}; }
};
struct ListOfLines : Lines {
  [[nodiscard]] std::list<Mirror> symmetries() const { return {Mirror{cells, false}, Mirror{cells, true}}; }
};
static_assert(HasSymmetries<ArrayOfLines> && !HasSymmetries<ListOfLines>);

std::string refusal(const Lines& lines, const SymmetryCheckConfig& config = {}) {
  return error_of([&] { check_symmetries(lines, config); });
}

}  // namespace

TEST_CASE("Sound symmetries pass their check", "[env]") {
  CHECK_NOTHROW(check_symmetries(Lines{}));
  CHECK_NOTHROW(check_symmetries(Lines{.begins_anywhere = true}));
  CHECK_NOTHROW(check_symmetries(ArrayOfLines{}));
}

TEST_CASE("The check names the symmetry, both tasks, the place and both values", "[env]") {
  const std::string text = refusal({.fault = Fault::action});

  CHECK(has(text, "check_symmetries: symmetry 1 from task 0 to task 4, episode 0, step 1: "));
  CHECK(has(text, "whose image is ["));
}

TEST_CASE("The check finds every kind of broken promise", "[env]") {
  CHECK(has(refusal({.fault = Fault::no_symmetry}),
            "check_symmetries: symmetries() is empty; it must begin with the identity"));
  CHECK(has(refusal({.fault = Fault::no_identity}), "the first symmetry is not the identity"));
  CHECK(has(refusal({.fault = Fault::task}), "earn "));
  CHECK(has(refusal({.fault = Fault::outside}), "is outside 0 .. 4"));
  CHECK(has(refusal({.fault = Fault::merged_tasks}), "another task has the same image"));
  CHECK(has(refusal({.fault = Fault::merged_actions}), "action 1 has the same image as an earlier action"));
  CHECK(has(refusal({.fault = Fault::outside_observation}), "which is not in discrete(5)"));
  CHECK(has(refusal({.fault = Fault::observation}), "lead to ["));
  CHECK(
      has(refusal({.cells = 4}),
          "none of 1000 resets of task 3 starts at [1], the image of a start of task 0; the last one started at [2]"));
  CHECK(has(refusal({.pays_left_double = true}), "earn "));
  CHECK(has(refusal({.left_goals_end = false}), "do not end both episodes alike"));
  CHECK(has(refusal({.rests_left = false}), "action 2 is forbidden, its image 2 is not"));
}

TEST_CASE("The check refuses a configuration that makes no sense", "[env]") {
  CHECK(has(refusal({}, {.tasks = 0}), "tasks is 0, it must be at least 1"));
  CHECK(has(refusal({}, {.episodes = 0}), "episodes is 0"));
  CHECK(has(refusal({}, {.max_steps = -1}), "max_steps is -1"));
  CHECK(has(refusal({}, {.max_resets = 0}), "max_resets is 0"));
  CHECK(has(refusal({}, {.tolerance = -1}), "tolerance is -1"));
  CHECK(has(refusal({}, {.tolerance = std::numeric_limits<float>::infinity()}), "tolerance is inf"));
}

TEST_CASE("All symmetries that Dark Rooms name hold, and no other would", "[env]") {
  /// The same rooms with all eight of the square.
  struct AllEight : DarkRooms {
    using DarkRooms::DarkRooms;
    [[nodiscard]] std::vector<DarkRoomSymmetry> symmetries() const {
      std::vector<DarkRoomSymmetry> all;
      for (int number = 0; number < 8; ++number) all.emplace_back(options().side, number);
      return all;
    }
  };
  for (const auto start : {DarkRoomStart::center, DarkRoomStart::corner, DarkRoomStart::random}) {
    for (const int side : {1, 2, 3, 4, 9}) {
      for (const int ending : {0, 1, 2}) {
        const DarkRoomOptions options{
            .side = side, .horizon = 12, .start = start, .reward_once = ending == 1, .terminate_at_goal = ending == 2};
        const auto count = DarkRooms{options}.symmetries().size();
        CAPTURE(side, static_cast<int>(start), ending, count);

        CHECK_NOTHROW(check_symmetries(DarkRooms{options}, {.episodes = 1}));
        const bool all_hold =
            start == DarkRoomStart::random || side == 1 || (start == DarkRoomStart::center && side % 2 == 1);
        CHECK(count == (all_hold ? 8 : 2));
        CHECK(error_of([&] { check_symmetries(AllEight{options}, {.episodes = 1}); }).empty() == all_hold);
      }
    }
  }
}

TEST_CASE("The eight symmetries of a room by hand", "[env]") {
  // Of the cell (0, 1) among three by three, and of going up.
  // Exchanged first, then reversed: number 3 takes (0, 1) to (1, 0) and, the rows reversed, leaves it there.
  const std::vector<std::pair<Cell, int>> wanted{
      {{0, 1}, DarkRoom::up}, {{1, 0}, DarkRoom::left},  {{2, 1}, DarkRoom::down}, {{1, 0}, DarkRoom::left},
      {{0, 1}, DarkRoom::up}, {{1, 2}, DarkRoom::right}, {{2, 1}, DarkRoom::down}, {{1, 2}, DarkRoom::right}};
  for (int number = 0; number < 8; ++number) {
    const DarkRoomSymmetry symmetry{3, number};
    CAPTURE(number);
    CHECK(symmetry.map_cell({0, 1}) == wanted[static_cast<std::size_t>(number)].first);
    CHECK(symmetry.map_action(DarkRoom::up) == wanted[static_cast<std::size_t>(number)].second);
    CHECK(symmetry.map_action(DarkRoom::stay) == DarkRoom::stay);
    CHECK(symmetry.map_task(4) == 4);
    CHECK(symmetry.map_task(1) == wanted[static_cast<std::size_t>(number)].first.row * 3 +
                                      wanted[static_cast<std::size_t>(number)].first.column);
  }
}

TEST_CASE("The check refuses spaces that make no sense, and actions and masks that do not fit them", "[env]") {
  const auto refusal_of = [](auto env) {
    struct Family {
      decltype(env) only;
      [[nodiscard]] int task_count() const { return 1; }
      [[nodiscard]] auto make(int) const { return only; }
      [[nodiscard]] std::vector<Mirror> symmetries() const { return {{5, false}}; }
    };
    return error_of([&] { check_symmetries(Family{env}); });
  };
  struct Lopsided : Line {
    [[nodiscard]] Space observation_space() const { return Box{std::vector<float>(500), {1}}; }
  };
  struct Empty : Line {
    [[nodiscard]] Space action_space() const { return Discrete{0}; }
  };
  struct Joystick : Line {
    [[nodiscard]] Space action_space() const { return MultiDiscrete{{3, 4}}; }
  };
  struct MaskedJoystick : Joystick {
    StepResult step(std::span<const float>, Rng&) { return {0, true}; }
  };

  CHECK(has(refusal_of(Lopsided{{5, 0}}), "a box has 500 lower and 1 upper bounds"));
  CHECK(has(refusal_of(Empty{{5, 0}}), "discrete(0) has a component of 0 ids"));
  CHECK(has(refusal_of(Joystick{{5, 0}}), "step takes one id, but its action space is multi_discrete(3, 4)"));
  CHECK(has(refusal_of(MaskedJoystick{{{5, 0}}}), "an action mask, but its action space is multi_discrete(3, 4)"));
}
