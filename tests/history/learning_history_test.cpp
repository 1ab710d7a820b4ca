// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/history/learning_history.hpp>

#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/histories.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

template <typename H>
concept GivesView = requires(H&& history) {
  std::forward<H>(history).view();
};
template <typename H>
concept GivesEpisode = requires(H&& history) {
  std::forward<H>(history).episode(0);
};

}  // namespace

TEST_CASE("A history keeps one observation more than steps in every episode", "[history]") {
  const LearningHistory history = telling_history(4, {2, 1, 3});
  REQUIRE(history.episode_count() == 3);
  CHECK(history.step_count() == 6);

  for (int e = 0; e < 3; ++e) {
    const EpisodeView episode = history.episode(e);
    REQUIRE(episode.length() == std::array{2, 1, 3}[static_cast<std::size_t>(e)]);
    std::array<float, 3> observation;
    std::array<float, 1> action;
    for (int t = 0; t <= episode.length(); ++t) {
      episode.observation(t, observation);
      CHECK(observation == std::array{4.0f, static_cast<float>(e), static_cast<float>(t)});
    }
    for (int t = 0; t < episode.length(); ++t) {
      episode.action(t, action);
      CHECK(action[0] == static_cast<float>(telling_action(e, t)));
      CHECK(episode.reward(t) == telling_reward(e, t));
    }
    CHECK(episode.terminated() == (e == 1));
    CHECK(episode.truncated() == (e != 1));
    CHECK(history.view().episode_length(e) == episode.length());
  }
}

TEST_CASE("An episode's return is the sum of its rewards", "[history]") {
  const LearningHistory history = telling_history(0, {2, 3});

  CHECK(history.episode(0).total_reward() == 0 + 1);
  CHECK(history.episode(1).total_reward() == 100 + 101 + 102);
}

TEST_CASE("A history without episodes is empty", "[history]") {
  const LearningHistory history = telling_history(0, {});

  CHECK(history.episode_count() == 0);
  CHECK(history.step_count() == 0);
  CHECK(history.view().episode_count() == 0);
}

TEST_CASE("Optional columns hold what was recorded with each step", "[history]") {
  const LearningHistory history =
      telling_history(0, {3}, {.has_action_mask = true, .has_behavior_probability = true, .has_expert_action = true});
  const EpisodeView episode = history.episode(0);

  std::array<float, 1> expert;
  episode.expert_action(1, expert);

  CHECK(expert[0] == static_cast<float>((telling_action(0, 1) + 1) % 7));
  CHECK(episode.behavior_probability(2) == 0.25f);
  REQUIRE(episode.action_mask(1).size() == 7);
  CHECK(episode.action_mask(0)[6] == 1);
  CHECK(episode.action_mask(1)[6] == 2);
}

TEST_CASE("A copy of a history is independent of it", "[history]") {
  const LearningHistory copy = [] {
    const LearningHistory original = telling_history(2, {4, 4});
    return LearningHistory{original};
  }();

  CHECK(copy.step_count() == 8);
  CHECK(copy.episode(1).reward(3) == telling_reward(1, 3));
}

TEST_CASE("A history of spaces that make no sense is refused", "[history]") {
  CHECK(has(error_of([] { LearningHistory{{.observation_space = Discrete{0}, .action_space = Discrete{1}}}; }),
            "observation space of a history"));
  CHECK(
      has(error_of([] {
            LearningHistory{{.observation_space = Discrete{2}, .action_space = Box{{0}, {1}}, .has_action_mask = true}};
          }),
          "action masks need a Discrete action space, not box"));
}

TEST_CASE("Views survive a move of their history, as when the vector grows that it lies in", "[history]") {
  std::vector<LearningHistory> histories;
  std::vector<HistoryView> views;
  for (int number = 0; number < 20; ++number) {
    histories.push_back(telling_history(number, {2, 1}));
    views.push_back(histories.back().view());
  }

  for (std::size_t i = 0; i < views.size(); ++i) {
    CHECK(&views[i].info() == &histories[i].info());
    CHECK(views[i].info().task == static_cast<int>(i));
    CHECK(views[i].columns().rewards == histories[i].view().columns().rewards);
    CHECK(views[i].episode(1).reward(0) == histories[i].episode(1).reward(0));
  }
  histories[0] = std::move(histories[1]);
  CHECK(&views[1].info() == &histories[0].info());
}

TEST_CASE("A temporary history gives no views, and its info by value", "[history]") {
  STATIC_REQUIRE(GivesView<const LearningHistory&>);
  STATIC_REQUIRE_FALSE(GivesView<LearningHistory>);
  STATIC_REQUIRE_FALSE(GivesView<const LearningHistory>);
  STATIC_REQUIRE(GivesEpisode<LearningHistory&>);
  STATIC_REQUIRE_FALSE(GivesEpisode<LearningHistory>);
  STATIC_REQUIRE(std::is_same_v<decltype(std::declval<LearningHistory>().info()), HistoryInfo>);
}
