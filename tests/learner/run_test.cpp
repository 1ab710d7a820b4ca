// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/run.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <icrl/env/time_limit.hpp>
#include <icrl/history/history_file.hpp>
#include <icrl/history/history_format.hpp>
#include <icrl/learner/q_learning.hpp>
#include <icrl/learner/random_learner.hpp>

#include "support/catch.hpp"
#include "support/histories.hpp"
#include "support/special_numbers.hpp"
#include "support/tiny_environments.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// Goes right, and writes down what it is told.
struct Diary {
  struct Entry {
    float observation, action, reward, next_observation;
    bool terminated, truncated;
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  std::vector<Entry> entries;

  void act(std::span<const float>, std::span<float> action, Rng&) { action[0] = 1; }
  void learn(const Transition& t) {
    entries.push_back({t.observation[0], t.action[0], t.reward, t.next_observation[0], t.terminated, t.truncated});
  }
};

/// Acts at random and says that an expert would have done nothing.
struct Confessing : RandomPolicy {
  using RandomPolicy::RandomPolicy;
  void expert_action(std::span<float> action) const { action[0] = 0; }
  [[nodiscard]] float behavior_probability() const { return 0.5f; }
};

std::vector<std::byte> bytes_of(const LearningHistory& history) {
  const auto writer = detail::write_record(history.view(), 0);
  return {writer.bytes().begin(), writer.bytes().end()};
}

}  // namespace

TEST_CASE("The loop tells the learner and the history what happened", "[learner]") {
  Diary diary;

  const LearningHistory history = run(diary, Corridor{.cells = 3, .horizon = 9}, 2, Rng{1});

  const Diary::Entry first{0, 1, 0, 1, false, false}, second{1, 1, 1, 2, true, false};
  CHECK(diary.entries == std::vector{first, second, first, second});
  REQUIRE(history.episode_count() == 2);
  for (int e = 0; e < 2; ++e) {
    const EpisodeView episode = history.episode(e);
    std::array<float, 1> value;
    REQUIRE(episode.length() == 2);
    episode.observation(2, value);
    CHECK(value[0] == 2);
    episode.action(1, value);
    CHECK(value[0] == 1);
    CHECK(episode.total_reward() == 1);
    CHECK(episode.terminated());
    CHECK_FALSE(episode.truncated());
  }
}

TEST_CASE("A truncated episode is told from a terminated one", "[learner]") {
  Diary diary;

  const LearningHistory history = run(diary, Corridor{.cells = 9, .horizon = 3}, 1, Rng{1});

  CHECK(diary.entries.back() == Diary::Entry{2, 1, 0, 3, false, true});
  CHECK(history.episode(0).truncated());
  CHECK_FALSE(history.episode(0).terminated());
}

TEST_CASE("Episodes of one step are episodes", "[learner]") {
  Diary diary;

  const LearningHistory history = run(diary, Corridor{.cells = 9, .horizon = 1}, 3, Rng{1});

  CHECK(history.episode_count() == 3);
  CHECK(history.step_count() == 3);
}

TEST_CASE("No episodes make an empty history that knows its spaces", "[learner]") {
  Diary diary;

  const LearningHistory history = run(diary, Corridor{}, 0, Rng{1}, {.task = 3, .algorithm = "diary"});

  CHECK(history.episode_count() == 0);
  CHECK(diary.entries.empty());
  CHECK(history.info().observation_space == Space{Discrete{4}});
  CHECK(history.info().task == 3);
  CHECK(history.info().algorithm == "diary");
}

TEST_CASE("A member's history does not depend on the size of its group", "[learner]") {
  const auto make = [](std::size_t) { return QLearning{{.episodes = 20}, Discrete{5}, Discrete{2}}; };
  const auto env = [](std::size_t i) { return Corridor{.cells = 5, .horizon = 6 + static_cast<int>(i), .slip = 0.2}; };
  for (const std::size_t size : {1u, 2u, 7u}) {
    std::vector<QLearning> learners;
    std::vector<Corridor> envs;
    std::vector<Rng> rngs;
    for (std::size_t i = 0; i < size; ++i) {
      learners.push_back(make(i));
      envs.push_back(env(i));
      rngs.emplace_back(9, i);
    }
    LearnerGroup<QLearning> group{learners};

    const auto histories = run_group(group, envs, 20, rngs);

    REQUIRE(histories.size() == size);
    for (std::size_t i = 0; i < size; ++i) {
      QLearning alone = make(i);
      CHECK(bytes_of(histories[i]) == bytes_of(run(alone, env(i), 20, Rng{9, i})));
    }
  }
}

TEST_CASE("The same generator gives the same history, another gives another", "[learner]") {
  const auto live = [](const Rng& rng) {
    RandomPolicy learner{Discrete{2}};
    return bytes_of(run(learner, Corridor{.slip = 0.5}, 10, rng));
  };
  Rng used{5};
  used.bits();

  CHECK(live(Rng{5}) == live(used));
  CHECK(live(Rng{5}) != live(Rng{6}));
}

TEST_CASE("What the learner draws does not change what the environment draws", "[learner]") {
  struct Wasteful : Diary {
    void act(std::span<const float>, std::span<float> action, Rng& rng) {
      for (int i = 0; i < 3; ++i) rng.bits();
      action[0] = 1;
    }
  };
  Diary modest;
  Wasteful wasteful;

  (void)run(modest, Corridor{.slip = 0.5}, 10, Rng{2});
  (void)run(wasteful, Corridor{.slip = 0.5}, 10, Rng{2});

  CHECK(modest.entries == wasteful.entries);
}

TEST_CASE("Masks of the environment reach the learner and the history", "[learner]") {
  RandomPolicy learner{Discrete{4}};

  const LearningHistory history = run(learner, TurnTaking{}, 30, Rng{3});

  REQUIRE(history.info().has_action_mask);
  std::array<bool, 4> chosen{};
  for (int e = 0; e < 30; ++e) {
    CHECK(history.episode(e).total_reward() == 6);
    for (int t = 0; t < 6; ++t) {
      const auto mask = history.episode(e).action_mask(t);
      for (std::size_t a = 0; a < 4; ++a) REQUIRE((mask[a] != 0) == (static_cast<int>(a) % 2 == t % 2));
      std::array<float, 1> action{};
      history.episode(e).action(t, action);
      chosen[static_cast<std::size_t>(action[0])] = true;
    }
  }
  CHECK(chosen == std::array{true, true, true, true});
}

TEST_CASE("Masks stay with their member when others have finished", "[learner]") {
  struct Short : TurnTaking {
    int length = 6;
    StepResult step(int action, Rng& rng) {
      StepResult result = TurnTaking::step(action, rng);
      result.truncated = time == length;
      return result;
    }
  };
  std::vector<RandomPolicy> learners(3, RandomPolicy{Discrete{4}});
  LearnerGroup<RandomPolicy> group{learners};
  std::vector<Short> envs(3);
  envs[0].length = 1;
  envs[1].length = 3;
  const std::vector<Rng> rngs{Rng{1}, Rng{2}, Rng{3}};

  const auto histories = run_group(group, envs, 4, rngs);

  CHECK(histories[0].step_count() == 4);
  CHECK(histories[1].step_count() == 12);
  CHECK(histories[2].step_count() == 24);
  for (int e = 0; e < 4; ++e) CHECK(histories[2].episode(e).total_reward() == 6);
}

TEST_CASE("The learner is told what the next observation allows, also where time ran out on it", "[learner]") {
  struct Reader : RandomPolicy {
    using RandomPolicy::RandomPolicy;
    std::vector<std::vector<std::uint8_t>> told;
    void learn(const Transition& t) { told.emplace_back(t.next_allowed.begin(), t.next_allowed.end()); }
  };
  Reader reader{Discrete{4}};
  (void)run(reader, TurnTaking{}, 2, Rng{1});

  REQUIRE(reader.told.size() == 12);
  for (std::size_t i = 0; i < 12; ++i) {
    const auto even = static_cast<std::uint8_t>(i % 6 % 2);  // after step t the time is t + 1
    const auto odd = static_cast<std::uint8_t>(1 - even);
    CHECK(reader.told[i] == std::vector<std::uint8_t>{even, odd, even, odd});
  }
}

TEST_CASE("An action outside its space is stopped before the environment sees it", "[learner]") {
  struct Wild {
    float action;
    void act(std::span<const float>, std::span<float> out, Rng&) { out[0] = action; }
    void learn(const Transition&) {}
  };
  for (const float action : {2.0f, -1.0f, 0.5f, not_a_number}) {
    Wild wild{action};
    CHECK(has(error_of([&] { (void)run(wild, Corridor{}, 1, Rng{1}); }), "], outside discrete(2)"));
  }
}

TEST_CASE("An environment whose step does not fit its actions is refused before the first one", "[learner]") {
  struct Joystick : Corridor {
    int* steps;
    explicit Joystick(int& count) : steps{&count} {}
    [[nodiscard]] Space action_space() const { return MultiDiscrete{{3, 4}}; }
    StepResult step(int action, Rng& rng) {
      ++*steps;
      return Corridor::step(action, rng);
    }
  };
  struct Throttle : Joystick {
    using Joystick::Joystick;
    [[nodiscard]] Space action_space() const { return Box{{0}, {1}}; }
  };
  int steps = 0;
  RandomPolicy two_ids{MultiDiscrete{{3, 4}}}, number{Box{{0}, {1}}};

  CHECK(has(error_of([&] { (void)run(two_ids, Joystick{steps}, 1, Rng{1}); }),
            "run: the environment: step takes one id, but its action space is multi_discrete(3, 4)"));
  CHECK(has(error_of([&] { (void)run(number, Throttle{steps}, 1, Rng{1}); }), "its action space is box([0], [1])"));
  CHECK(has(error_of([&] { (void)run(number, TimeLimit{Throttle{steps}, 3}, 1, Rng{1}); }), "step takes one id"));
  CHECK(steps == 0);
}

TEST_CASE("A mask over actions of several ids is refused with a way out", "[learner]") {
  struct MaskedJoystick : Slider {
    [[nodiscard]] Space action_space() const { return MultiDiscrete{{3, 4}}; }
    void action_mask(std::span<std::uint8_t> allowed) const { std::fill(allowed.begin(), allowed.end(), 1); }
  };
  RandomPolicy policy{MultiDiscrete{{3, 4}}};

  const std::string error = error_of([&] { (void)run(policy, MaskedJoystick{}, 1, Rng{1}); });

  CHECK(has(error, "action masks need a Discrete action space, not multi_discrete(3, 4)"));
  CHECK(has(error, "number its actions as one Discrete space"));
}

TEST_CASE("A learner that names its spaces is asked before the run", "[learner]") {
  struct Picky : RandomPolicy {
    using RandomPolicy::RandomPolicy;
    void check_spaces(const Space& observation_space, const Space& action_space) const {
      fail("no {} and {}", to_string(observation_space), to_string(action_space));
    }
  };
  Picky picky{Discrete{2}};
  CHECK(error_of([&] { (void)run(picky, Corridor{}, 1, Rng{1}); }) == "no discrete(4) and discrete(2)");
}

TEST_CASE("Continuous actions are stepped and recorded", "[learner]") {
  RandomPolicy learner{Box{{-1}, {1}}};

  const LearningHistory history = run(learner, Slider{}, 4, Rng{3});

  std::array<float, 1> action, before, after;
  for (int t = 0; t < 5; ++t) {
    history.episode(3).observation(t, before);
    history.episode(3).action(t, action);
    history.episode(3).observation(t + 1, after);
    CHECK(after[0] == before[0] + action[0]);
  }
}

TEST_CASE("Optional columns are filled where they are asked for", "[learner]") {
  Confessing learner{Discrete{2}};

  const LearningHistory history =
      run(learner, Corridor{}, 2, Rng{1}, {.has_behavior_probability = true, .has_expert_action = true});

  std::array<float, 1> expert{9};
  history.episode(1).expert_action(0, expert);
  CHECK(expert[0] == 0);
  CHECK(history.episode(1).behavior_probability(0) == 0.5f);
}

TEST_CASE("Columns that nobody can fill are refused", "[learner]") {
  Diary diary;

  CHECK(
      has(error_of([&] { (void)run(diary, Corridor{}, 1, Rng{1}, {.has_expert_action = true}); }), "no expert_action"));
  CHECK(has(error_of([&] { (void)run(diary, Corridor{}, 1, Rng{1}, {.has_behavior_probability = true}); }),
            "no behavior_probability"));
}

TEST_CASE("An environment that leaves its spaces is stopped", "[learner]") {
  struct Liar : Corridor {
    [[nodiscard]] Space observation_space() const { return Discrete{2}; }
  };
  struct Overpaid : Corridor {
    StepResult step(int, Rng&) { return {std::numeric_limits<float>::infinity(), true, false}; }
  };
  Diary diary;

  CHECK(has(error_of([&] { (void)run(diary, Liar{}, 1, Rng{1}); }),
            "recording step 1 of episode 0: the next observation is [2], outside discrete(2)"));
  CHECK(has(error_of([&] { (void)run(diary, Overpaid{}, 1, Rng{1}); }), "the reward is inf"));
}

TEST_CASE("A group is refused where its parts do not match", "[learner]") {
  std::vector<Diary> learners(2);
  LearnerGroup<Diary> group{learners};
  const std::vector<Rng> rngs{Rng{1}, Rng{2}};

  CHECK(has(error_of([&] { (void)run_group(group, std::vector<Corridor>(3), 1, rngs); }),
            "2 members was given 3 environments"));
  CHECK(has(error_of([&] {
              (void)run_group(group, std::vector<Corridor>{{.cells = 3}, {.cells = 4}}, 1, rngs);
            }),
            "different spaces"));
}

TEST_CASE("A group without members lives nothing", "[learner]") {
  LearnerGroup<Diary> group{std::span<Diary>{}};

  CHECK(run_group(group, std::vector<Corridor>{}, 5, std::vector<Rng>{}).empty());
}
