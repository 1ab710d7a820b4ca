// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/history/history_recorder.hpp>

#include <array>
#include <new>
#include <vector>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/histories.hpp"
#include "support/special_numbers.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

LearningHistory empty_history() {
  return LearningHistory{{.observation_space = MultiDiscrete{{3, 4}}, .action_space = Discrete{2}}};
}

}  // namespace

TEST_CASE("An episode is part of the history once it has ended", "[history]") {
  LearningHistory history = empty_history();
  HistoryRecorder recorder{history};
  recorder.begin_episode(std::array{0.0f, 0.0f});
  recorder.step(std::array{1.0f}, 0, std::array{0.0f, 1.0f}, false, false);
  CHECK(history.episode_count() == 0);
  CHECK(recorder.is_open());

  recorder.step(std::array{1.0f}, 1, std::array{0.0f, 2.0f}, true, true);

  CHECK_FALSE(recorder.is_open());
  REQUIRE(history.episode_count() == 1);
  CHECK(history.step_count() == 2);
  CHECK(history.episode(0).terminated());
  CHECK(history.episode(0).truncated());
}

TEST_CASE("Where memory runs out in a step, the open episode is forgotten and the finished ones stay", "[history]") {
  SKIP_UNLESS_AVAILABLE(AllocationCount);
  const HistoryInfo info{.has_action_mask = true, .has_behavior_probability = true, .has_expert_action = true};
  const LearningHistory finished = telling_history(3, {2}, info), whole = telling_history(3, {2, 1}, info);
  const std::array observation{3.0f, 1.0f, 0.0f}, next{3.0f, 1.0f, 1.0f};
  const std::array action{static_cast<float>(telling_action(1, 0))}, expert{2.0f};
  const std::vector<std::uint8_t> mask(7, 1);
  int failure_count = 0;
  for (bool failed = true; failed; failure_count += failed) {
    LearningHistory history = finished;  // whose columns have no room left
    HistoryRecorder recorder{history};
    const auto record = [&](int allocation_count) {
      recorder.begin_episode(observation);
      const AllocationLimit limit{allocation_count};
      recorder.step(action, telling_reward(1, 0), next, true, false,
                    {.action_mask = mask, .behavior_probability = 0.25f, .expert_action = expert});
    };
    failed = false;

    try {
      record(failure_count);
    } catch (const std::bad_alloc&) {
      failed = true;
    }

    if (failed) {
      CHECK_FALSE(recorder.is_open());
      CHECK(bytes_of(history.view()) == bytes_of(finished.view()));
      record(100);
    }
    CHECK(bytes_of(history.view()) == bytes_of(whole.view()));
  }
  CHECK(failure_count >= 4);  // rewards, masks, probabilities, and the two columns of episodes
}

TEST_CASE("An episode that is left open leaves no trace", "[history]") {
  LearningHistory history = telling_history(1, {2});
  {
    HistoryRecorder recorder{history};
    recorder.begin_episode(std::array{9.0f, 9.0f, 9.0f});
    recorder.step(std::array{6.0f}, -1, std::array{9.0f, 9.0f, 9.0f}, false, false);
  }
  CHECK(history.step_count() == 2);
  HistoryRecorder recorder{history};
  recorder.begin_episode(std::array{5.0f, 5.0f, 5.0f});
  recorder.step(std::array{3.0f}, 7, std::array{5.0f, 5.0f, 6.0f}, true, false);

  const EpisodeView episode = history.episode(1);
  std::array<float, 3> observation;
  std::array<float, 1> action;
  episode.observation(0, observation);
  episode.action(0, action);
  CHECK(observation == std::array{5.0f, 5.0f, 5.0f});
  CHECK(action[0] == 3.0f);
  CHECK(episode.reward(0) == 7.0f);
  CHECK(history.episode(0).reward(1) == telling_reward(0, 1));
}

TEST_CASE("An abandoned episode is forgotten and the next one counts", "[history]") {
  LearningHistory history = empty_history();
  HistoryRecorder recorder{history};
  recorder.begin_episode(std::array{0.0f, 0.0f});
  recorder.step(std::array{1.0f}, 5, std::array{0.0f, 1.0f}, false, false);

  recorder.abandon_episode();
  recorder.begin_episode(std::array{2.0f, 2.0f});
  recorder.step(std::array{0.0f}, 1, std::array{2.0f, 3.0f}, false, true);

  REQUIRE(history.episode_count() == 1);
  CHECK(history.episode(0).total_reward() == 1);
}

TEST_CASE("Calls out of order are refused by name", "[history]") {
  LearningHistory history = empty_history();
  HistoryRecorder recorder{history};
  const std::array here{0.0f, 0.0f};
  const auto step = [&](bool ends) { recorder.step(std::array{0.0f}, 0, here, ends, false); };

  CHECK(has(error_of([&] { step(false); }), "before begin_episode"));
  recorder.begin_episode(here);
  CHECK(has(error_of([&] { recorder.begin_episode(here); }), "still open"));
  step(true);
  CHECK(has(error_of([&] { step(false); }), "episode 1: a step came before begin_episode"));
}

TEST_CASE("Values outside their space are refused, saying where", "[history]") {
  LearningHistory history = empty_history();
  HistoryRecorder recorder{history};
  const std::array here{0.0f, 0.0f};
  CHECK(has(error_of([&] {
              recorder.begin_episode(std::array{0.0f, 4.0f});
            }),
            "the observation is [0, 4], outside multi_discrete(3, 4): id 1 is 4, outside 0 .. 3"));
  recorder.begin_episode(here);
  recorder.step(std::array{0.0f}, 0, here, false, false);
  const auto refusal = [&](float action, float reward, float next) {
    return error_of([&] { recorder.step(std::array{action}, reward, std::array{0.0f, next}, false, false); });
  };

  CHECK(refusal(2, 0, 0) == "recording step 1 of episode 0: the action is [2], outside discrete(2)");
  CHECK(has(refusal(-1, 0, 0), "action is [-1]"));
  CHECK(has(refusal(0.5f, 0, 0), "action is [0.5]"));
  CHECK(has(refusal(not_a_number, 0, 0), "action is [nan]"));
  CHECK(has(refusal(0, not_a_number, 0), "the reward is nan, it must be finite"));
  CHECK(has(refusal(0, infinity, 0), "the reward is inf, it must be finite"));
  CHECK(has(refusal(0, 0, 4), "the next observation is [0, 4], outside"));
  CHECK(has(error_of([&] { recorder.step({}, 0, here, false, false); }), "the action is [], outside"));
}

TEST_CASE("One wrong number of an 84 x 84 picture is named in a short text", "[history]") {
  constexpr std::size_t size = 84 * 84;
  const Box picture{std::vector<float>(size, 0), std::vector<float>(size, 1)};
  LearningHistory history{{.observation_space = picture, .action_space = Discrete{2}}};
  HistoryRecorder recorder{history};
  std::vector<float> seen(size, 0.125f);
  seen[4321] = not_a_number;

  const std::string error = error_of([&] { recorder.begin_episode(seen); });

  CHECK(has(error, "observation is [0.125, 0.125, 0.125, 0.125, ... (7056 in all)], outside box("));
  CHECK(has(error, ": number 4321 is nan, outside 0 .. 1"));
  CHECK(error.size() < 300);
}

TEST_CASE("A refused step changes nothing", "[history]") {
  LearningHistory history = empty_history();
  HistoryRecorder recorder{history};
  const std::array here{0.0f, 0.0f};
  recorder.begin_episode(here);
  CHECK_THROWS_AS(recorder.step(std::array{1.0f}, 1, std::array{9.0f, 9.0f}, true, false), Error);

  recorder.step(std::array{0.0f}, 2, here, true, false);

  REQUIRE(history.episode_count() == 1);
  CHECK(history.step_count() == 1);
  CHECK(history.episode(0).reward(0) == 2);
}

TEST_CASE("Infinite numbers are refused where a box has no bound", "[history]") {
  LearningHistory history{{.observation_space = Box{{-infinity}, {infinity}}, .action_space = Box{{-1}, {1}}}};
  HistoryRecorder recorder{history};

  CHECK_THROWS_AS(recorder.begin_episode(std::array{infinity}), Error);
  CHECK_NOTHROW(recorder.begin_episode(std::array{3e38f}));
}

TEST_CASE("Extras are checked as far as the history has them", "[history]") {
  const auto refusal = [](HistoryInfo info, const StepExtras& extras) {
    info.observation_space = info.action_space = Discrete{2};
    LearningHistory history{info};
    HistoryRecorder recorder{history};
    recorder.begin_episode(std::array{0.0f});
    return error_of([&] { recorder.step(std::array{1.0f}, 0, std::array{0.0f}, false, true, extras); });
  };
  const std::array<std::uint8_t, 2> only_first{1, 0};
  const std::array<float, 1> outside{2};

  CHECK(refusal({}, {.action_mask = only_first}).empty());
  CHECK(has(refusal({.has_action_mask = true}, {.action_mask = only_first}), "action 1 is not allowed"));
  CHECK(has(refusal({.has_action_mask = true}, {}), "mask has 0 entries for 2 actions"));
  CHECK(has(refusal({.has_behavior_probability = true}, {.behavior_probability = not_a_number}),
            "the behavior probability is nan, it must be finite and at least 0"));
  CHECK(has(refusal({.has_behavior_probability = true}, {.behavior_probability = -1}), "probability is -1"));
  CHECK(has(refusal({.has_expert_action = true}, {.expert_action = outside}),
            "the expert action is [2], outside discrete(2)"));
  const std::array<std::uint8_t, 2> only_second{0, 1};
  const std::array<float, 1> first{0}, second{1};
  const HistoryInfo both{.has_action_mask = true, .has_expert_action = true};
  CHECK(has(refusal(both, {.action_mask = only_second, .expert_action = first}),
            "the expert action 0 is not allowed by the action mask"));
  CHECK(refusal(both, {.action_mask = only_second, .expert_action = second}).empty());
}

TEST_CASE("A step whose action is known to be sound is the same step", "[history]") {
  const HistoryInfo info{.observation_space = Discrete{4}, .action_space = Discrete{2}};
  LearningHistory checked{info}, known{info};
  HistoryRecorder checking{checked}, trusting{known};
  checking.begin_episode(std::array{0.0f});
  trusting.begin_episode(std::array{0.0f});

  checking.step(std::array{1.0f}, 0.5f, std::array{3.0f}, false, true);
  trusting.step_checked(std::array{1.0f}, 0.5f, std::array{3.0f}, false, true);

  REQUIRE(known.episode_count() == 1);
  std::array<float, 1> of_known{}, of_checked{};
  known.episode(0).action(0, of_known);
  checked.episode(0).action(0, of_checked);
  CHECK(of_known == of_checked);
  CHECK(known.episode(0).reward(0) == 0.5f);
  CHECK(known.episode(0).truncated());
  CHECK_THROWS_AS(trusting.step_checked(std::array{1.0f}, 0.0f, std::array{3.0f}, false, true), Error);  // none is open
}
