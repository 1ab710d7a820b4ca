// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/history/symmetric_image.hpp>

#include <array>
#include <cstddef>
#include <utility>
#include <vector>

#include <icrl/env/dark_room.hpp>

#include "support/catch.hpp"
#include "support/histories.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// Reverses the order of everything that a telling history (see support/histories.hpp) consists of.
struct Reversal {
  void map_observation(std::span<const float> from, std::span<float> to) const {
    to[0] = 19 - from[0];
    to[1] = 299 - from[1];
    to[2] = 299 - from[2];
  }
  void map_action(std::span<const float> from, std::span<float> to) const { to[0] = 6 - from[0]; }
  [[nodiscard]] int map_task(int task) const { return 19 - task; }
};

std::vector<float> observation_of(const EpisodeView& episode, int t) {
  std::vector<float> values(3);
  episode.observation(t, values);
  return values;
}
float action_of(const EpisodeView& episode, int t) {
  std::array<float, 1> action{};
  episode.action(t, action);
  return action[0];
}
float expert_action_of(const EpisodeView& episode, int t) {
  std::array<float, 1> action{};
  episode.expert_action(t, action);
  return action[0];
}

/// A history of one episode of one step, on a goal of the room.
LearningHistory room_history(int task) {
  LearningHistory history{{.observation_space = MultiDiscrete{{9, 9}}, .action_space = Discrete{5}, .task = task}};
  HistoryRecorder recorder{history};
  recorder.begin_episode(std::array{4.0f, 4.0f});
  recorder.step(std::array{1.0f}, 0, std::array{3.0f, 4.0f}, false, true);
  return history;
}

}  // namespace

TEST_CASE("An image has every column mapped, and rewards and endings as they were", "[history]") {
  const HistoryInfo info{.algorithm = "source",
                         .seed = 5,
                         .has_action_mask = true,
                         .has_behavior_probability = true,
                         .has_expert_action = true};
  const LearningHistory history = telling_history(3, {4, 2, 5}, info);

  const LearningHistory image = symmetric_image(history.view(), Reversal{});

  CHECK(image.info().task == 16);
  CHECK(image.info().algorithm == "source");
  CHECK(image.info().seed == 5);
  REQUIRE(image.episode_count() == 3);
  for (int e = 0; e < 3; ++e) {
    const EpisodeView from = history.episode(e), to = image.episode(e);
    REQUIRE(to.length() == from.length());
    CHECK(to.terminated() == (e == 1));
    CHECK(to.truncated() == (e != 1));
    for (int t = 0; t <= to.length(); ++t)
      CHECK(observation_of(to, t) == std::vector<float>{16, 299 - static_cast<float>(e), 299 - static_cast<float>(t)});
    for (int t = 0; t < to.length(); ++t) {
      CHECK(action_of(to, t) == 6 - static_cast<float>(telling_action(e, t)));
      CHECK(expert_action_of(to, t) == 6 - expert_action_of(from, t));
      CHECK(to.reward(t) == telling_reward(e, t));
      CHECK(to.behavior_probability(t) == 0.25f);
      CHECK(to.action_mask(t)[0] == 1 + t % 2);  // what the last of seven actions had
      CHECK(to.action_mask(t)[6] == 1);
    }
  }
}

TEST_CASE("A mirror used twice gives the history back", "[history]") {
  const LearningHistory history = telling_history(3, {4, 2}, {.has_action_mask = true, .has_expert_action = true});

  const LearningHistory once = symmetric_image(history.view(), Reversal{});
  const LearningHistory twice = symmetric_image(once.view(), Reversal{});

  for (int e = 0; e < 2; ++e) {
    for (int t = 0; t < history.episode(e).length(); ++t) {
      CHECK(observation_of(twice.episode(e), t) == observation_of(history.episode(e), t));
      CHECK(action_of(twice.episode(e), t) == action_of(history.episode(e), t));
      CHECK(expert_action_of(twice.episode(e), t) == expert_action_of(history.episode(e), t));
      CHECK(twice.episode(e).action_mask(t)[6] == history.episode(e).action_mask(t)[6]);
    }
  }
}

TEST_CASE("A map out of the space is refused", "[history]") {
  struct TooFar : Reversal {
    void map_action(std::span<const float> from, std::span<float> to) const { to[0] = from[0] + 1; }
  };
  const auto refusal = [](const HistoryInfo& info) {
    const LearningHistory history = telling_history(3, {9}, info);
    return error_of([&] { (void)symmetric_image(history.view(), TooFar{}); });
  };

  CHECK(has(refusal({}), "action is [7], outside discrete(7)"));
  CHECK(has(refusal({.has_action_mask = true}), "action 6 is mapped to 7, which is not in discrete(7)"));
}

TEST_CASE("Images of tasks that are not trained on are dropped and counted", "[history]") {
  // Goal (0, 1) has eight images, one in each of eight cells; (0, 4) four, each twice; (4, 4) but itself.
  const std::vector<int> training{1, 9, 4, 40};  // (0, 1), its image (1, 0), (0, 4), (4, 4)
  SymmetricImages images{DarkRooms{}, training};
  std::vector<std::vector<std::int64_t>> tasks;
  std::vector<std::pair<std::size_t, std::size_t>> counts;
  for (const int task : {1, 4, 40}) {
    tasks.emplace_back();
    const LearningHistory history = room_history(task);
    images.make(history.view(), [&](LearningHistory&& image) { tasks.back().push_back(image.info().task); });
    counts.emplace_back(images.counts().kept, images.counts().dropped);
  }

  CHECK(tasks[0] == std::vector<std::int64_t>{9});
  CHECK(tasks[1] == std::vector<std::int64_t>{4});
  CHECK(tasks[2] == std::vector<std::int64_t>(7, 40));
  CHECK(counts == std::vector<std::pair<std::size_t, std::size_t>>{{1, 6}, {2, 12}, {9, 12}});
}

TEST_CASE("Images refuse training tasks and histories of no task of the family", "[history]") {
  CHECK(has(error_of([] { (void)SymmetricImages{DarkRooms{}, std::array{81}}; }), "task 81 is not one of"));
  SymmetricImages images{DarkRooms{}, std::array{0}};
  const LearningHistory foreign = room_history(81);
  const auto ignore = [](LearningHistory&&) {};
  CHECK(has(error_of([&] { images.make(foreign.view(), ignore); }), "symmetric images: task 81 is not one of"));
  CHECK(images.counts().dropped == 0);
}

TEST_CASE("Images refuse a history of other spaces than the family's", "[history]") {
  SymmetricImages images{DarkRooms{}, std::array{3}};
  const auto refusal = [&](const Space& observations, const Space& actions) {
    LearningHistory history{{.observation_space = observations, .action_space = actions, .task = 3}};
    HistoryRecorder recorder{history};
    const std::vector<float> observation(static_cast<std::size_t>(value_count(observations)), 1.0f);
    recorder.begin_episode(observation);
    recorder.step(std::array{299.0f}, 0, observation, false, true);
    return error_of([&] { images.make(history.view(), [](LearningHistory&&) {}); });
  };

  CHECK(
      refusal(Discrete{81}, Discrete{300}) ==
      "symmetric images: the spaces of the family and the history differ: observation spaces multi_discrete(9, 9) and "
      "discrete(81)");
  CHECK(
      refusal(MultiDiscrete{{9, 9}}, Discrete{300}) ==
      "symmetric images: the spaces of the family and the history differ: action spaces discrete(5) and discrete(300)");
  CHECK(images.counts().dropped == 0);
}

TEST_CASE("An image of a task that is no int is refused", "[history]") {
  LearningHistory history{
      {.observation_space = MultiDiscrete{{9, 9}}, .action_space = Discrete{5}, .task = (std::int64_t{1} << 32) + 3}};
  const DarkRoomSymmetry exchange{9, 1};

  CHECK(has(error_of([&] { (void)symmetric_image(history.view(), exchange); }),
            "the history's task is 4294967299, which is out of the range of an int"));
}
