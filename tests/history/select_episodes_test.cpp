// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/history/select_episodes.hpp>

#include <array>
#include <vector>

#include <icrl/env/dark_room.hpp>
#include <icrl/history/add_extra_feature.hpp>
#include <icrl/learner/noisy_learner.hpp>
#include <icrl/learner/run.hpp>
#include <icrl/learner/systematic_explorer.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/histories.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// A history with expert actions. Some episodes end early, some are cut off.
LearningHistory recorded_history(int episodes) {
  Rng rng{5};
  const DarkRoom room{{.side = 5, .horizon = 5, .terminate_at_goal = true}, {0, 0}};
  NoisyLearner learner{SystematicExplorer{GridMoves{5}, {.noise = 0}}, room.action_space(), {.min_noise = 0.3}, rng};
  return run(learner, room, episodes, Rng{2}, {.has_expert_action = true});
}

/// The same with an extra feature.
LearningHistory selectable_history(int episodes) {
  const LearningHistory history = recorded_history(episodes);
  return with_return_to_go(history.view());
}

}  // namespace

TEST_CASE("All episodes in their order are the same history, byte by byte", "[history]") {
  const std::array all{0, 1, 2, 3, 4, 5, 6};
  const LearningHistory recorded = recorded_history(7);
  bool any_terminated = false, any_truncated = false;
  for (const int e : all) {
    any_terminated = any_terminated || recorded.episode(e).terminated();
    any_truncated = any_truncated || recorded.episode(e).truncated();
  }
  REQUIRE((any_terminated && any_truncated));
  const LearningHistory same = select_episodes(recorded.view(), all);
  CHECK(bytes_of(same.view()) == bytes_of(recorded.view()));
  for (const int e : all) {
    CHECK(same.episode(e).terminated() == recorded.episode(e).terminated());
    CHECK(same.episode(e).truncated() == recorded.episode(e).truncated());
  }
  const LearningHistory history = selectable_history(7), again = select_episodes(history.view(), all);
  CHECK(bytes_of(again.view()) == bytes_of(history.view()));
}

TEST_CASE("Episodes are taken in the order that is given", "[history]") {
  const LearningHistory history = selectable_history(7);
  const std::array wanted{4, 0, 4};
  const LearningHistory selected = select_episodes(history.view(), wanted);
  REQUIRE(selected.episode_count() == 3);
  for (int e = 0; e < 3; ++e) {
    const auto from = history.episode(wanted[static_cast<std::size_t>(e)]), to = selected.episode(e);
    REQUIRE(to.length() == from.length());
    CHECK(to.terminated() == from.terminated());
    CHECK(to.truncated() == from.truncated());
    for (int t = 0; t < to.length(); ++t) {
      std::array<float, 2> one{}, other{};
      from.observation(t + 1, one);
      to.observation(t + 1, other);
      CHECK(one == other);
      std::array<float, 1> intended{}, copied{};
      from.expert_action(t, intended);
      to.expert_action(t, copied);
      CHECK(intended == copied);
      CHECK(to.extra_features(t)[0] == from.extra_features(t)[0]);
    }
  }
  CHECK(select_episodes(history.view(), {}).episode_count() == 0);
  CHECK(has(error_of([&] { (void)select_episodes(history.view(), std::array{7}); }), "episode 7 is requested"));
  CHECK(has(error_of([&] { (void)select_episodes(history.view(), std::array{-1}); }), "episode -1 is requested"));
}

TEST_CASE("Sorted by return, a history never gets worse, and has all its episodes", "[history]") {
  const LearningHistory history = selectable_history(12);
  const LearningHistory sorted = sorted_by_return(history.view());
  REQUIRE(sorted.episode_count() == 12);
  CHECK(sorted.step_count() == history.step_count());
  for (int e = 1; e < 12; ++e) CHECK(sorted.episode(e).total_reward() >= sorted.episode(e - 1).total_reward());
  CHECK(sorted.episode(0).total_reward() < sorted.episode(11).total_reward());
}
