// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/key_to_door_explorer.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <icrl/env/key_to_door.hpp>
#include <icrl/history/symmetric_image.hpp>
#include <icrl/learner/collect.hpp>
#include <icrl/learner/noisy_learner.hpp>

#include "support/catch.hpp"
#include "support/histories.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

const auto make_plain = [](int, const KeyToDoor& room) { return KeyToDoorExplorer{GridMoves{room.options().side}}; };
const auto make_permuted = [](int, const KeyToDoor& room) { return PermutedKeyToDoorExplorer{room.options().side}; };

Cell cell_at(const EpisodeView& episode, int t) {
  std::array<float, 2> observation{};
  episode.observation(t, observation);
  return {static_cast<int>(observation[0]), static_cast<int>(observation[1])};
}
int distance(Cell a, Cell b) { return std::abs(a.row - b.row) + std::abs(a.column - b.column); }

/// Steps until the return of the episode reaches 2, or nothing where it does not.
std::optional<int> steps_to_both(const EpisodeView& episode) {
  float total = 0;
  for (int t = 0; t < episode.length(); ++t) {
    total += episode.reward(t);
    if (total == 2) return t + 1;
  }
  return {};
}

/// The fewest steps in which an episode with this start collects both.
int fewest_steps(const EpisodeView& episode, const KeyToDoorTask& task) {
  return std::max(1, distance(cell_at(episode, 0), task.key)) + distance(task.key, task.door);
}

/// The episode from which on all of them take the fewest steps, counted from 0.
int first_of_perfect_episodes(const HistoryView& history, const KeyToDoorTask& task) {
  int perfect_from = history.episode_count();
  while (perfect_from > 0 &&
         steps_to_both(history.episode(perfect_from - 1)) == fewest_steps(history.episode(perfect_from - 1), task))
    --perfect_from;
  return perfect_from;
}

/// Mean return of each episode.
std::vector<double> mean_returns(const std::vector<LearningHistory>& histories) {
  std::vector<double> returns(static_cast<std::size_t>(histories[0].episode_count()));
  for (const LearningHistory& history : histories)
    for (std::size_t e = 0; e < returns.size(); ++e)
      returns[e] += history.episode(static_cast<int>(e)).total_reward() / static_cast<double>(histories.size());
  return returns;
}

/// 64 tasks, each lived 4 times.
template <typename MakeLearner>
std::vector<LearningHistory> lives(bool permuted, MakeLearner make_learner, bool with_labels = false) {
  const KeyToDoorRooms rooms{{.permuted_actions = permuted}};
  const std::vector<int> tasks = split_tasks(rooms.task_count(), {.held_out = 64, .seed = 5}).held_out;
  return collect(rooms, tasks, make_learner,
                 {.histories_per_task = 4, .episodes = 12, .thread_count = 1, .with_expert_action = with_labels});
}

/// Makes copies of an explorer, three of ten of whose actions are random.
template <typename Explorer>
auto under_noise(const Explorer& explorer) {
  return [explorer](int, const KeyToDoor& room, Rng& rng) {
    return NoisyLearner{Explorer{explorer}, room.action_space(), {.min_noise = 0.3, .max_noise = 0.3}, rng};
  };
}

}  // namespace

TEST_CASE("Before anything is found every step reaches a new cell, or nearly", "[learner]") {
  // Neither key nor door is ever reached: what they pay is taken away.
  struct Unpaid : KeyToDoor {
    using KeyToDoor::KeyToDoor;
    StepResult step(int action, Rng& rng) {
      StepResult result = KeyToDoor::step(action, rng);
      result.reward = 0;
      return result;
    }
  };
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    KeyToDoorExplorer explorer{GridMoves{9}};
    const LearningHistory history = run(explorer, Unpaid{{}, {{0, 0}, {0, 1}}}, 3, Rng{seed});

    std::set<std::pair<int, int>> visited;
    std::vector<std::size_t> visited_after;
    for (int e = 0; e < 3; ++e) {
      for (int t = 1; t <= 50; ++t)
        visited.insert({cell_at(history.episode(e), t).row, cell_at(history.episode(e), t).column});
      visited_after.push_back(visited.size());
    }
    CHECK(visited_after[0] >= 48);
    CHECK(visited_after[2] == 81);
  }
}

TEST_CASE("With the key in hand it searches anew: the door may be where it has been", "[learner]") {
  // A corridor of four cells, 2 x 2 in a circle: the door (0, 0) is stepped on first, without the key.
  KeyToDoorExplorer explorer{GridMoves{2}};
  const KeyToDoor room{{.side = 2, .horizon = 12, .start = DarkRoomStart::corner}, {.key = {1, 1}, .door = {0, 0}}};

  const LearningHistory history = run(explorer, room, 2, Rng{1});

  CHECK(cell_at(history.episode(0), 1) == Cell{0, 0});
  CHECK(history.episode(0).reward(0) == 0);
  CHECK(history.episode(0).total_reward() == 2);
  CHECK(steps_to_both(history.episode(1)) == 4);
}

TEST_CASE("It does not look for the door in the cell of the key", "[learner]") {
  KeyToDoorExplorer explorer{GridMoves{9}};
  const std::array beside{4.0f, 3.0f}, key{4.0f, 4.0f};
  explorer.learn({beside, {}, 1, key});

  std::array<float, 1> action{};
  Rng rng{1};
  explorer.act(key, action, rng);
  CHECK(static_cast<int>(action[0]) != DarkRoom::stay);
}

TEST_CASE("Once both are found each episode goes straight to the key, then to the door", "[learner]") {
  for (const bool permuted : {false, true}) {
    const KeyToDoorRooms rooms{{.permuted_actions = permuted}};
    for (int task = 3; task < rooms.task_count(); task += rooms.task_count() / 150) {
      const auto lived = [&](auto explorer) { return run(explorer, rooms.make(task), 12, Rng{7}); };
      const LearningHistory history =
          permuted ? lived(PermutedKeyToDoorExplorer{9}) : lived(KeyToDoorExplorer{GridMoves{9}});

      int first_success = 0;
      while (history.episode(first_success).total_reward() < 2) ++first_success;
      CHECK(first_success <= 5);
      CHECK(first_of_perfect_episodes(history.view(), rooms.make(task).task()) <= first_success + 1);
    }
  }
}

TEST_CASE("What it found last in an episode that was cut is kept", "[learner]") {
  // The key is found by the last step of the episode; the next one begins without it, but the explorer knows the way.
  KeyToDoorExplorer explorer{GridMoves{3}};
  const std::array observation{0.0f, 0.0f}, key{0.0f, 2.0f};
  explorer.learn({observation, {}, 1, key, false, true});

  std::array<float, 1> action{};
  Rng rng{1};
  const auto action_at = [&](const std::array<float, 2>& place) {
    explorer.act(place, action, rng);
    return static_cast<int>(action[0]);
  };
  CHECK(action_at(observation) == DarkRoom::right);
  CHECK(action_at({2, 2}) == DarkRoom::up);
  CHECK(action_at(key) == DarkRoom::stay);  // it is paid for a step onto the key
}

TEST_CASE("Its mean return is nearly the oracle's after three episodes", "[learner]") {
  const std::vector<double> plain = mean_returns(lives(false, make_plain));
  const std::vector<double> permuted = mean_returns(lives(true, make_permuted));

  for (const auto& [returns, floor] :
       {std::pair{plain, std::array{0.72, 1.60, 1.92}}, {permuted, std::array{0.66, 1.5, 1.90}}}) {
    std::string figures;
    for (const double value : returns) figures += " " + std::to_string(value);
    INFO("return by episode:" << figures);
    for (std::size_t e = 0; e < floor.size(); ++e) CHECK(returns[e] > floor[e]);
    for (std::size_t e = 5; e < returns.size(); ++e) CHECK(returns[e] == 2);
  }
}

TEST_CASE("Under noise it still finds both, and its intended actions are the labels", "[learner]") {
  for (const bool permuted : {false, true}) {
    const auto histories = permuted ? lives(true, under_noise(PermutedKeyToDoorExplorer{9}), true)
                                    : lives(false, under_noise(KeyToDoorExplorer{GridMoves{9}}), true);

    int steps = 0, different = 0, on_the_way = 0, shortest = 0;
    for (const LearningHistory& history : histories) {
      const KeyToDoorTask task =
          KeyToDoorRooms{{.permuted_actions = permuted}}.make(static_cast<int>(history.info().task)).task();
      const ActionPermutation permutation{task.permutation};
      for (int e = 0; e < history.episode_count(); ++e) {
        const EpisodeView episode = history.episode(e);
        int collected = 0;
        for (int t = 0; t < episode.length(); ++t) {
          std::array<float, 1> taken{}, intended{};
          episode.action(t, taken);
          episode.expert_action(t, intended);
          ++steps;
          different += taken != intended;
          if (e >= 10 && collected < 2) {  // by then it knows: each intended step comes nearer to what is next
            const Cell target = collected == 0 ? task.key : task.door, here = cell_at(episode, t);
            const Cell next = DarkRoom::moved(here, permutation.move_of(static_cast<int>(intended[0])), 9);
            ++on_the_way;
            shortest += distance(next, target) == std::max(0, distance(here, target) - 1);
          }
          collected += episode.reward(t) > 0;
        }
      }
    }
    const double share = static_cast<double>(different) / steps;
    CHECK(std::abs(share - 0.8 * 0.3) < 0.01);  // one random action of five is the intended one
    CHECK(on_the_way > 1000);
    CHECK(shortest == on_the_way);
    CHECK(mean_returns(histories)[11] > 1.98);
  }
}

TEST_CASE("The order in which it searches depends on the generator only with random ties", "[learner]") {
  const auto bytes = [](bool random_ties, std::uint64_t seed) {
    KeyToDoorExplorer explorer{GridMoves{9}, {.random_ties = random_ties}};
    const KeyToDoor room{{.start = DarkRoomStart::center}, {{0, 0}, {8, 8}}};
    const LearningHistory history = run(explorer, room, 4, Rng{seed});
    return bytes_of(history.view());
  };

  CHECK(bytes(false, 1) == bytes(false, 2));
  CHECK(bytes(true, 1) != bytes(true, 2));
}

TEST_CASE("With permuted actions it tries them first", "[learner]") {
  const KeyToDoorRooms rooms{{.start = DarkRoomStart::center, .permuted_actions = true}};
  Rng rng{2};
  for (int i = 0; i < 50; ++i) {
    const int task = rng.below(rooms.task_count());
    PermutedKeyToDoorExplorer explorer{9};
    const LearningHistory history = run(explorer, rooms.make(task), 1, Rng{3});

    for (int t = 0; t < 4; ++t) {
      std::array<float, 1> action{};
      history.episode(0).action(t, action);
      CHECK(action[0] == static_cast<float>(t));
    }
    CHECK(explorer.finder().permutation().number() == rooms.make(task).task().permutation);
  }
}

TEST_CASE("Images of its lives happen in training tasks as recorded, and all others are counted", "[learner]") {
  const KeyToDoorRooms rooms{{.side = 3, .horizon = 12, .permuted_actions = true}};
  const TaskSplit split = split_tasks(rooms.task_count(), {.train = 3000, .held_out = 5640, .seed = 1});
  const std::set<std::int64_t> training(split.train.begin(), split.train.end());
  const std::span<const int> recorded = std::span{split.train}.first(200);
  const CollectConfig config{.episodes = 4, .thread_count = 1, .with_expert_action = true};

  const auto make_noisy = [](int, const KeyToDoor& room, Rng& rng) {
    return NoisyLearner{PermutedKeyToDoorExplorer{3}, room.action_space(), {}, rng};
  };

  SymmetricImages images{rooms, split.train};
  for (const LearningHistory& history : collect(rooms, recorded, make_noisy, config)) {
    images.make(history.view(), [&](const LearningHistory& image) {
      REQUIRE(training.contains(image.info().task));
      KeyToDoor room = rooms.make(static_cast<int>(image.info().task));
      Rng rng{1};
      for (int e = 0; e < image.episode_count(); ++e) {
        const EpisodeView episode = image.episode(e);
        do {
          room.reset(rng);
        } while (room.position() != cell_at(episode, 0));
        for (int t = 0; t < episode.length(); ++t) {
          std::array<float, 1> action{};
          episode.action(t, action);
          REQUIRE(room.step(static_cast<int>(action[0]), rng).reward == episode.reward(t));
          REQUIRE(room.position() == cell_at(episode, t + 1));
        }
      }
    });
  }

  CHECK(images.counts().kept + images.counts().dropped == 7 * 200);
  CHECK(images.counts().kept > 400);  // about 3000 of 8640
  CHECK(images.counts().dropped > 700);
}

TEST_CASE("Key-to-Door's explorers refuse rooms of another size", "[learner]") {
  const Space nine = MultiDiscrete{{9, 9}}, eight = MultiDiscrete{{8, 8}}, moves = Discrete{5};
  CHECK_NOTHROW(KeyToDoorExplorer{GridMoves{9}}.check_spaces(nine, moves));
  CHECK_THROWS_AS(KeyToDoorExplorer{GridMoves{9}}.check_spaces(eight, moves), Error);
  CHECK_NOTHROW(PermutedKeyToDoorExplorer{9}.check_spaces(nine, moves));
  CHECK_THROWS_AS(PermutedKeyToDoorExplorer{9}.check_spaces(eight, moves), Error);
}
