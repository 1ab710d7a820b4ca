// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/noisy_learner.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <icrl/env/dark_plane.hpp>
#include <icrl/env/dark_room.hpp>
#include <icrl/learner/collect.hpp>
#include <icrl/learner/dark_plane_oracle.hpp>
#include <icrl/learner/q_learning.hpp>
#include <icrl/learner/systematic_explorer.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/histories.hpp"
#include "support/tiny_environments.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

SystematicExplorer<GridMoves> explorer() { return SystematicExplorer{GridMoves{9}, {.noise = 0}}; }

/// Wants always the same, and keeps what it was told.
struct Insistent {
  float wanted = 0;
  std::vector<float> seen{};

  void act(std::span<const float>, std::span<float> action, Rng&) { action[0] = wanted; }
  void learn(const Transition& transition) { seen.push_back(transition.action[0]); }
};

struct NoiseCounts {
  int steps = 0, different = 0;
};

/// How many of the actions of a history are not what was intended.
NoiseCounts noise_counts(const HistoryView& history) {
  NoiseCounts counts;
  std::array<float, 1> taken{}, intended{};
  for (int e = 0; e < history.episode_count(); ++e) {
    const EpisodeView episode = history.episode(e);
    for (int t = 0; t < episode.length(); ++t) {
      episode.action(t, taken);
      episode.expert_action(t, intended);
      ++counts.steps;
      counts.different += taken != intended;
    }
  }
  return counts;
}

}  // namespace

TEST_CASE("The noise of a history is drawn once, uniformly in its range", "[learner]") {
  Rng rng{3};
  double least = 1, most = 0, sum = 0;
  for (int i = 0; i < 4000; ++i) {
    const NoisyLearner learner{Insistent{}, Discrete{5}, {.min_noise = 0.1, .max_noise = 0.5}, rng};
    least = std::min(least, learner.noise());
    most = std::max(most, learner.noise());
    sum += learner.noise();
  }

  CHECK((least >= 0.1 && least < 0.102));
  CHECK((most > 0.498 && most <= 0.5));
  CHECK(std::abs(sum / 4000 - 0.3) < 0.01);
}

TEST_CASE("In all of a history a noisy learner acts at random as often as was drawn", "[learner]") {
  std::vector<double> drawn;
  const auto make = [&](int, const DarkRoom& room, Rng& rng) {
    NoisyLearner learner{explorer(), room.action_space(), {.max_noise = 0.8}, rng};
    drawn.push_back(learner.noise());
    return learner;
  };

  const auto histories =
      collect(DarkRooms{}, std::array{3, 50}, make,
              {.histories_per_task = 4, .episodes = 100, .thread_count = 1, .with_expert_action = true});

  for (std::size_t i = 0; i < histories.size(); ++i) {
    const NoiseCounts counts = noise_counts(histories[i].view());
    const double share = static_cast<double>(counts.different) / counts.steps;
    CHECK(std::abs(share - 0.8 * drawn[i]) < 0.04);  // one random action of five is the intended one
  }
}

TEST_CASE("The wrapped learner is told what was really done", "[learner]") {
  Rng rng{1};
  NoisyLearner learner{Insistent{.wanted = 1}, Discrete{2}, {.min_noise = 0.5, .max_noise = 0.5}, rng};
  const Corridor corridor{.cells = 50, .horizon = 200};

  const LearningHistory history = run(learner, corridor, 5, Rng{2}, {.has_expert_action = true});

  std::vector<float> taken;
  std::array<float, 1> action{}, intended{};
  for (int e = 0; e < 5; ++e) {
    for (int t = 0; t < history.episode(e).length(); ++t) {
      history.episode(e).action(t, action);
      history.episode(e).expert_action(t, intended);
      taken.push_back(action[0]);
      CHECK(intended[0] == 1);
    }
  }
  CHECK(learner.learner().seen == taken);
  CHECK(std::ranges::count(taken, 0.0f) > 100);
}

TEST_CASE("Without noise a noisy learner is the learner itself", "[learner]") {
  const DarkRoom room{{}, {2, 7}};
  Rng rng{1};
  QLearning alone{{.episodes = 30}, room.observation_space(), room.action_space()};
  NoisyLearner noisy{QLearning{alone}, room.action_space(), {.max_noise = 0}, rng};

  const LearningHistory one = run(alone, room, 30, Rng{5}), other = run(noisy, room, 30, Rng{5});

  CHECK(one.step_count() == 600);
  CHECK(bytes_of(one.view()) == bytes_of(other.view()));
}

TEST_CASE("Random actions keep to the mask, whether the learner looks at it or not", "[learner]") {
  Rng rng{1};
  const NoisyLearnerConfig always{.min_noise = 1, .max_noise = 1};
  NoisyLearner blind{Insistent{.wanted = 0}, Discrete{4}, always, rng};
  NoisyLearner seeing{QLearning{{}, Discrete{7}, Discrete{4}}, Discrete{4}, always, rng};

  // The recorder refuses an action that is not allowed.
  CHECK(run(blind, TurnTaking{}, 50, Rng{1}).step_count() == 300);
  CHECK(run(seeing, TurnTaking{}, 50, Rng{1}, {.has_expert_action = false}).step_count() == 300);
}

TEST_CASE("A masked learner is asked with the mask", "[learner]") {
  Rng rng{1};
  NoisyLearner learner{QLearning{{}, Discrete{7}, Discrete{4}}, Discrete{4}, {.max_noise = 0.5}, rng};

  const LearningHistory history = run(learner, TurnTaking{}, 50, Rng{1}, {.has_expert_action = true});

  std::array<float, 1> intended{};
  for (int e = 0; e < 50; ++e) {
    for (int t = 0; t < 6; ++t) {
      history.episode(e).expert_action(t, intended);
      REQUIRE(static_cast<int>(intended[0]) % 2 == t % 2);
    }
  }
}

TEST_CASE("Continuous actions are noisy, too", "[learner]") {
  const DarkPlane plane{{}, {0.5f, -0.5f}};
  Rng rng{1};
  NoisyLearner learner{DarkPlaneOracle{plane.target(), plane.options().max_move},
                       plane.action_space(),
                       {.min_noise = 0.3, .max_noise = 0.3},
                       rng};

  const LearningHistory history = run(learner, plane, 40, Rng{1}, {.has_expert_action = true});

  int different = 0;
  std::array<float, 2> taken{}, intended{};
  for (int e = 0; e < 40; ++e) {
    for (int t = 0; t < 30; ++t) {
      history.episode(e).action(t, taken);
      history.episode(e).expert_action(t, intended);
      different += taken != intended;
    }
  }
  CHECK(std::abs(different / 1200.0 - 0.3) < 0.05);
}

TEST_CASE("A noisy learner refuses noise and spaces that are none", "[learner]") {
  const auto refusal = [](const NoisyLearnerConfig& config) {
    return error_of([&] {
      Rng rng{1};
      (void)NoisyLearner{Insistent{}, Discrete{5}, config, rng};
    });
  };

  CHECK(has(refusal({.min_noise = 0.4}), "min_noise is 0.4, max_noise is 0.3; they must"));
  CHECK(has(refusal({.min_noise = -0.1}), "min_noise is -0.1"));
  CHECK(has(refusal({.max_noise = 1.5}), "max_noise is 1.5"));
  CHECK(has(refusal({.max_noise = std::nan("")}), "noisy learner"));
  Rng rng{1};
  CHECK(has(error_of([&] {
              (void)NoisyLearner{Insistent{}, Discrete{0}, {}, rng};
            }),
            "action space of a noisy learner"));
}

TEST_CASE("A noisy learner refuses other actions than its own and what its learner refuses", "[learner]") {
  Rng rng{1};
  const NoisyLearner blind{Insistent{}, Box{{-1, -1}, {1, 1}}, {}, rng};
  const NoisyLearner seeing{explorer(), Discrete{5}, {}, rng};

  CHECK_NOTHROW(blind.check_spaces(Discrete{4}, Box{{-1, -1}, {1, 1}}));
  CHECK(has(error_of([&] { blind.check_spaces(Discrete{4}, Discrete{2}); }), "noisy learner: its action space"));
  CHECK_NOTHROW(seeing.check_spaces(MultiDiscrete{{9, 9}}, Discrete{5}));
  CHECK(has(error_of([&] { seeing.check_spaces(MultiDiscrete{{9, 8}}, Discrete{5}); }), "systematic explorer: its"));
}

TEST_CASE("A noisy learner without a mask acts as one whose mask is empty", "[learner]") {
  Rng rng{1};
  NoisyLearner learner{Insistent{}, Discrete{4}, {.min_noise = 0.5, .max_noise = 0.5}, rng};
  Rng one{1}, other{1};
  for (int i = 0; i < 20; ++i) {
    std::array<float, 1> action{}, same{};
    learner.act({}, action, one);
    learner.act({}, std::span<const std::uint8_t>{}, same, other);
    REQUIRE(action == same);
  }
}
