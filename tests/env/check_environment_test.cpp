// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/check_environment.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <random>
#include <span>
#include <stdexcept>
#include <string>

#include <icrl/env/dark_plane.hpp>
#include <icrl/env/dark_room.hpp>
#include <icrl/env/time_limit.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/tiny_environments.hpp"

using namespace icrl;
using test::Corridor;

namespace {

/// The one problem that a check finds; what else it says where it finds none or several.
template <Environment E>
std::string problem_of(const E& env, const CheckConfig& config = {}) {
  const EnvironmentReport report = check_environment(env, config);
  return report.problems.size() == 1 ? report.problems.front() : report.text();
}

/// A sound environment with a flaw in it: counts up to four, in slippery steps.
struct Sound {
  int time = 0, count = 0;

  [[nodiscard]] Space observation_space() const { return MultiDiscrete{{5, 5}}; }
  [[nodiscard]] Space action_space() const { return Discrete{3}; }
  void reset(Rng&) { time = count = 0; }
  void observe(std::span<float> out) const {
    out[0] = static_cast<float>(time);
    out[1] = static_cast<float>(count);
  }
  StepResult step(int action, Rng& rng) {
    if (rng.chance(0.5)) count = std::min(4, count + action);
    return {static_cast<float>(count), false, ++time == 4};
  }
};

struct OutOfSpace : Sound {
  void observe(std::span<float> out) const {
    Sound::observe(out);
    if (time == 2) out[1] = 5;
  }
};
struct HalfObserved : Sound {
  void observe(std::span<float> out) const { out[0] = static_cast<float>(time); }
};
struct Overrunning : Sound {
  void observe(std::span<float> out) const {
    Sound::observe(out);
    out.data()[2] = 1;
  }
};
struct Restless : Sound {
  mutable float looks = 0;
  void observe(std::span<float> out) const {
    looks = looks == 0 ? 1.0f : 0.0f;
    out[0] = out[1] = looks;
  }
};
struct InfiniteReward : Sound {
  StepResult step(int action, Rng& rng) {
    StepResult result = Sound::step(action, rng);
    if (time == 3) result.reward = std::numeric_limits<float>::infinity();
    return result;
  }
};
struct Endless : Sound {
  StepResult step(int action, Rng& rng) {
    time = -1;
    Sound::step(action, rng);
    return {0};
  }
};
struct OwnChance : Sound {
  std::shared_ptr<std::mt19937> random = std::make_shared<std::mt19937>(1u);
  StepResult step(int, Rng&) {
    count = static_cast<int>((*random)() % 5);
    return {0, false, ++time == 4};
  }
};
struct SharedState {
  std::shared_ptr<Sound> shared = std::make_shared<Sound>();
  [[nodiscard]] Space observation_space() const { return shared->observation_space(); }
  [[nodiscard]] Space action_space() const { return shared->action_space(); }
  void reset(Rng& rng) { shared->reset(rng); }
  void observe(std::span<float> out) const { shared->observe(out); }
  StepResult step(int action, Rng& rng) { return shared->step(action, rng); }
};
struct ForbidsAll : Sound {
  void action_mask(std::span<std::uint8_t> allowed) const {
    for (auto& one : allowed) one = time != 2;
  }
};
struct MaskOfNumbers : test::Slider {
  void action_mask(std::span<std::uint8_t>) const {}
};
struct StepsByIdInABox : Sound {
  [[nodiscard]] Space action_space() const { return Box{{0}, {1}}; }
};
struct GrowingSpace : Sound {
  int episodes = 0;
  [[nodiscard]] Space action_space() const { return Discrete{2 + std::min(episodes, 3)}; }
  void reset(Rng& rng) {
    ++episodes;
    Sound::reset(rng);
  }
};
struct NoSpace : Sound {
  [[nodiscard]] Space action_space() const { return Discrete{0}; }
};
struct Throwing : Sound {
  StepResult step(int action, Rng& rng) {
    if (time == 2) throw std::runtime_error{"the simulator is gone"};
    return Sound::step(action, rng);
  }
};

}  // namespace

TEST_CASE("Sound environments have no problems", "[env]") {
  const CheckConfig thorough{.episodes = 30};
  CHECK(check_environment(Sound{}, thorough).ok());
  CHECK(check_environment(Sound{}).text() == "no problems found");
  CHECK(check_environment(Corridor{.slip = 0.3}, thorough).text() == "no problems found");
  CHECK(check_environment(test::TurnTaking{}, thorough).text() == "no problems found");
  CHECK(check_environment(test::Slider{}, thorough).text() == "no problems found");
  CHECK(check_environment(DarkPlane{{}, {0.5f, 0}}).text() == "no problems found");
  CHECK(check_environment(TimeLimit{Endless{}, 5}).text() == "no problems found");
  for (const auto start : {DarkRoomStart::center, DarkRoomStart::corner, DarkRoomStart::random})
    for (const bool terminate : {false, true})
      CHECK(check_environment(DarkRoom{{.start = start, .terminate_at_goal = terminate}, {3, 3}}).ok());
}

TEST_CASE("Observations that are none are found", "[env]") {
  CHECK(test::has(problem_of(OutOfSpace{}), "the observation in episode 0, step 2 is ["));
  CHECK(test::has(problem_of(OutOfSpace{}), ", 5], outside multi_discrete(5, 5)"));
  CHECK(problem_of(HalfObserved{}) ==
        "the observation in episode 0, step 0 is [0, nan], outside multi_discrete(5, 5): id 1 is nan, outside 0 .. 4");
  CHECK(problem_of(Overrunning{}) == "observe writes more than the 2 numbers of an observation");
  CHECK(test::has(check_environment(Restless{}).text(),
                  "two observations in episode 0, step 0 differ, without a step between them"));
}

TEST_CASE("Rewards that are none and episodes without end are found", "[env]") {
  CHECK(problem_of(InfiniteReward{}) == "the reward in episode 0, step 3 is inf");
  CHECK(problem_of(Endless{}, {.max_steps = 50}) == "episode 0 has not ended after 50 steps (wrap it in TimeLimit?)");
}

TEST_CASE("Chance of one's own and shared state are found", "[env]") {
  CHECK(test::has(check_environment(OwnChance{}).text(), "behave differently under the same random numbers"));
  CHECK(test::has(check_environment(OwnChance{}).text(), "a copy is not independent"));
  CHECK(test::has(problem_of(SharedState{}), "a copy is not independent"));
}

TEST_CASE("Masks that do not fit are found", "[env]") {
  CHECK(test::has(problem_of(ForbidsAll{}), "the action mask in episode 0, step 3 allows no action"));
  CHECK(problem_of(MaskOfNumbers{}) == "it has an action mask, but its action space is box([-1], [1]), not discrete");
}

TEST_CASE("Spaces that cannot be, do not fit or change are found", "[env]") {
  CHECK(problem_of(NoSpace{}) == "the action space: discrete(0) has a component of 0 ids, it must have 1 .. 65535");
  CHECK(problem_of(StepsByIdInABox{}) ==
        "step takes one id, but its action space is box([0], [1]) (write step(std::span<const float>, Rng&))");
  CHECK(problem_of(GrowingSpace{}) == "its spaces have changed after episode 0");
}

TEST_CASE("An exception is a problem, with its place", "[env]") {
  CHECK(problem_of(Throwing{}) == "it throws an exception in episode 0, step 3: the simulator is gone");
}

TEST_CASE("Each kind of problem is told once", "[env]") {
  struct Bad : OutOfSpace {
    StepResult step(int action, Rng& rng) {
      StepResult result = Sound::step(action, rng);
      result.reward = std::numeric_limits<float>::quiet_NaN();
      return result;
    }
  };
  const EnvironmentReport report = check_environment(Bad{}, {.episodes = 20});

  CHECK(report.problems.size() == 2);
  CHECK_FALSE(report.ok());
  CHECK(test::has(report.text(), "- the reward in"));
}

TEST_CASE("A check of no episodes is refused", "[env]") {
  CHECK_FALSE(test::error_of([] { (void)check_environment(Sound{}, {.episodes = 0}); }).empty());
}
