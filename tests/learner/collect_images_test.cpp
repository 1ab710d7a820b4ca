// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/collect_images.hpp>

#include <algorithm>
#include <cstddef>
#include <set>
#include <vector>

#include <icrl/env/dark_room.hpp>
#include <icrl/history/curate.hpp>
#include <icrl/learner/noisy_learner.hpp>
#include <icrl/learner/systematic_explorer.hpp>

#include "support/catch.hpp"
#include "support/histories.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

const auto make_explorer = [](int, const DarkRoom& room, Rng& rng) {
  return NoisyLearner{SystematicExplorer{GridMoves{room.options().side}, {.noise = 0}}, room.action_space(), {}, rng};
};
const CollectConfig some{.histories_per_task = 2, .episodes = 6, .seed = 1, .with_expert_action = true};

TaskSplit some_split(std::uint64_t seed) {
  return split_tasks(DarkRooms{}.task_count(), {.train = 57, .validation = 8, .held_out = 16, .seed = seed});
}

/// Does in the environment of the history's task what the history says, and compares.
void replay(const HistoryView& history, const DarkRooms& rooms) {
  DarkRoom room = rooms.make(static_cast<int>(history.info().task));
  Rng rng{0};
  std::vector<float> shown(2), kept(2), action(1);
  for (int e = 0; e < history.episode_count(); ++e) {
    const EpisodeView episode = history.episode(e);
    room.reset(rng);
    room.observe(shown);
    episode.observation(0, kept);
    REQUIRE(shown == kept);
    for (int t = 0; t < episode.length(); ++t) {
      episode.action(t, action);
      const StepResult result = step(room, std::span<const float>{action}, rng);
      room.observe(shown);
      episode.observation(t + 1, kept);
      REQUIRE(shown == kept);
      REQUIRE(result.reward == episode.reward(t));
      const bool is_last = t + 1 == episode.length();
      REQUIRE(result.terminated == (is_last && episode.terminated()));
      REQUIRE(result.truncated == (is_last && episode.truncated()));
    }
  }
}

}  // namespace

TEST_CASE("No image is of a task that is not trained on", "[learner]") {
  const DarkRooms rooms;
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    const TaskSplit split = some_split(seed);
    const std::set<std::int64_t> training(split.train.begin(), split.train.end());

    const CollectedHistories collected = collect_with_images(rooms, split.train, make_explorer, some);

    std::size_t elsewhere = 0, would_leak = 0;
    for (const LearningHistory& history : collected.histories)
      elsewhere += training.contains(history.info().task) ? 0u : 1u;
    for (const int task : split.train)
      for (const DarkRoomSymmetry& symmetry : rooms.symmetries())
        would_leak += training.contains(symmetry.map_task(task)) ? 0u : 2u;
    CHECK(elsewhere == 0);
    CHECK(would_leak > 100);
    CHECK(collected.image_counts.dropped == would_leak);
    CHECK(collected.image_counts.kept == 57 * 2 * 7 - would_leak);
    CHECK(collected.histories.size() == 57 * 2 + collected.image_counts.kept);
  }
}

TEST_CASE("What an image tells is what its task's environment does", "[learner]") {
  for (const DarkRoomOptions& options :
       {DarkRoomOptions{}, DarkRoomOptions{.start = DarkRoomStart::corner},
        DarkRoomOptions{.side = 7, .terminate_at_goal = true}, DarkRoomOptions{.side = 6, .reward_once = true}}) {
    const DarkRooms rooms{options};
    const TaskSplit split = split_tasks(rooms.task_count(), {.train = rooms.task_count() / 2, .seed = 4});

    const CollectedHistories collected = collect_with_images(rooms, split.train, make_explorer, some);

    CHECK(collected.image_counts.kept > 10);
    double earned = 0;
    for (const LearningHistory& history : collected.histories) {
      replay(history.view(), rooms);
      earned += mean_return(history.view(), 0, 6);
    }
    CHECK(earned > 0);
  }
}

TEST_CASE("Images follow their history, the histories being those of collect", "[learner]") {
  const DarkRooms rooms;
  const std::vector<int> tasks{0, 8, 40};  // two corners, and the center

  const auto plain = collect(rooms, tasks, make_explorer, some);
  const CollectedHistories collected = collect_with_images(rooms, tasks, make_explorer, some);

  // Of a corner's seven images one is itself and two are the other corner.
  std::vector<std::int64_t> order;
  std::vector<std::vector<std::byte>> originals;
  for (const LearningHistory& history : collected.histories) order.push_back(history.info().task);
  CHECK(order == std::vector<std::int64_t>{0,  0,  8,  8,  0,  0,  8,  8,  8,  0,  0,  8,  8,  0,  0,  8,
                                           40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40});
  for (const std::size_t i : {0u, 4u, 8u, 12u, 16u, 24u}) originals.push_back(bytes_of(collected.histories[i].view()));
  for (std::size_t i = 0; i < plain.size(); ++i) CHECK(originals[i] == bytes_of(plain[i].view()));
  CHECK(bytes_of(collected.histories[16].view()) != bytes_of(collected.histories[17].view()));
}

TEST_CASE("Images in a file are those in memory, on any number of threads", "[learner]") {
  const TemporaryFolder folder;
  const TaskSplit split = some_split(1);
  const auto in_memory = collect_with_images(DarkRooms{}, split.train, make_explorer, some);
  const auto counts_of = [&](int threads) {
    HistoryWriter writer{folder / ("h" + std::to_string(threads))};
    CollectConfig config = some;
    config.thread_count = threads;
    return collect_with_images_to(writer, DarkRooms{}, split.train, make_explorer, config);
  };

  const ImageCounts one = counts_of(1), three = counts_of(3);

  CHECK(one.kept == in_memory.image_counts.kept);
  CHECK(three.dropped == in_memory.image_counts.dropped);
  CHECK(read_bytes(folder / "h1") == read_bytes(folder / "h3"));
  const HistoryFile file{folder / "h1"};
  REQUIRE(static_cast<std::size_t>(file.history_count()) == in_memory.histories.size());
  for (int i = 0; i < file.history_count(); ++i)
    REQUIRE(bytes_of(file.history(i)) == bytes_of(in_memory.histories[static_cast<std::size_t>(i)].view()));
}
