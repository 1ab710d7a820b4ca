// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/roll_out.hpp>

#include <algorithm>
#include <vector>

#include <icrl/env/dark_room.hpp>

#include "support/catch.hpp"
#include "support/dark_room_models.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

const RollOutConfig short_lives{.episodes = 5, .seed = 3, .stream = 2, .thread_count = 1};

}  // namespace

TEST_CASE("Histories of a rollout depend neither on threads nor on the size of groups", "[compress]") {
  const auto actor = small_room_model(1), expert = small_room_model(2);
  RollOutConfig config = short_lives;
  const auto alone = roll_out(actor, expert, small_rooms(), small_room_tasks(), config);
  config.thread_count = 3;
  config.group_size = 3;
  const auto together = roll_out(actor, expert, small_rooms(), small_room_tasks(), config);

  CHECK(numbers_of(alone, true) == numbers_of(together, true));
  config.stream = 4;
  const auto others = roll_out(actor, expert, small_rooms(), small_room_tasks(), config);
  CHECK(numbers_of(others, true) != numbers_of(alone, true));
}

TEST_CASE("A rollout is what agents live, and its expert actions are what an agent that watches would do",
          "[compress]") {
  const auto actor = small_room_model(1), expert = small_room_model(2);
  const std::vector<int> tasks = small_room_tasks();
  const auto histories = roll_out(actor, expert, small_rooms(), tasks, short_lives);

  REQUIRE(histories.size() == tasks.size());
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const LearningHistory& history = histories[i];
    CHECK(history.info().task == tasks[i]);
    REQUIRE(history.episode_count() == 5);
    const Rng rng = Rng{3, 2}.fork(i);

    InContextAgents alone{actor, 1};
    const HistoryInfo infos[] = {{.task = tasks[i]}};
    const auto lived = run_group(alone, std::vector{small_rooms().make(tasks[i])}, 5, {&rng, 1}, infos);
    CHECK(numbers_of(lived, false) == numbers_of({&history, 1}, false));

    InContextAgents watcher{expert, 1};
    Rng watcher_rng = rng.fork(2);
    std::vector<float> observation(2), next(2), taken(1), wanted(1), found(1);
    int differences = 0;
    for (int e = 0; e < 5; ++e) {
      const EpisodeView episode = history.episode(e);
      for (int t = 0; t < episode.length(); ++t) {
        episode.observation(t, observation);
        episode.observation(t + 1, next);
        episode.action(t, taken);
        episode.expert_action(t, wanted);
        const int members[] = {0};
        watcher.act({members, observation, {}}, found, {&watcher_rng, 1});
        REQUIRE(found == wanted);
        differences += found != taken ? 1 : 0;
        watcher.learn(0, {observation, taken, episode.reward(t), next, false, t + 1 == episode.length()});
      }
    }
    CHECK(differences > 0);
  }
}

TEST_CASE("A rollout that makes no sense is refused", "[compress]") {
  const auto model = small_room_model(1);
  const auto refuses = [&](const std::vector<int>& tasks, const RollOutConfig& config, const char* text) {
    CHECK_THROWS_WITH(roll_out(model, model, small_rooms(), tasks, config), ContainsSubstring(text));
  };
  refuses({0}, {.episodes = 0}, "episodes is 0, it must be at least 1");
  refuses({0}, {.group_size = 0}, "group_size is 0");
  refuses({0}, {.thread_count = -1}, "thread_count is -1");
  refuses({0}, {.decoding = {.temperature = -1}}, "temperature");
  refuses({25}, {}, "rollout: task 25 is not one of the family's 25 tasks");
  CHECK(roll_out(model, model, small_rooms(), {}, {}).empty());
}
