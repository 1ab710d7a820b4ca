// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/dark_plane_explorer.hpp>

#include <array>
#include <cstdint>

#include <icrl/env/dark_plane.hpp>
#include <icrl/learner/noisy_learner.hpp>
#include <icrl/learner/run.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

double return_of(const LearningHistory& history, int episode) {
  const EpisodeView view = history.episode(episode);
  double total = 0;
  for (int t = 0; t < view.length(); ++t) total += static_cast<double>(view.reward(t));
  return total;
}

}  // namespace

TEST_CASE("The dark plane explorer finds every target within five episodes and then earns what the oracle earns",
          "[learner]") {
  const DarkPlanes planes{{.seed = 3}};
  double late = 0, oracle = 0;
  for (int task = 0; task < 40; ++task) {
    Rng rng{4, static_cast<std::uint64_t>(task)};
    DarkPlaneExplorer explorer{planes.options()};
    const LearningHistory history = run(explorer, planes.make(task), 8, rng);
    double found = 0;
    for (int e = 0; e < 5; ++e) found += return_of(history, e);
    CHECK(found > 0);
    for (int e = 6; e < 8; ++e) late += return_of(history, e) / 2;
    oracle += planes.oracle_return(task);
  }
  CHECK(late > 0.99 * oracle);
}

TEST_CASE("The dark plane explorer copes with moves that are not its own", "[learner]") {
  const DarkPlanes planes{{.seed = 8}};
  double late = 0, oracle = 0;
  for (int task = 0; task < 40; ++task) {
    Rng rng{5, static_cast<std::uint64_t>(task)};
    const DarkPlane plane = planes.make(task);
    NoisyLearner learner{DarkPlaneExplorer{planes.options()}, plane.action_space(), {0.2, 0.2}, rng};
    const LearningHistory history = run(learner, plane, 10, rng);
    for (int e = 7; e < 10; ++e) late += return_of(history, e) / 3;
    oracle += planes.oracle_return(task);
  }
  CHECK(late > 0.85 * oracle);
}

TEST_CASE("The dark plane explorer refuses other planes", "[learner]") {
  const DarkPlaneExplorer explorer{DarkPlaneOptions{}};
  CHECK_NOTHROW(explorer.check_spaces(Box{{-1, -1}, {1, 1}}, Box{{-0.2f, -0.2f}, {0.2f, 0.2f}}));
  CHECK_THROWS_AS(explorer.check_spaces(Box{{-1, -1}, {1, 2}}, Box{{-0.2f, -0.2f}, {0.2f, 0.2f}}), Error);
  CHECK_THROWS_AS(explorer.check_spaces(Box{{-1, -1}, {1, 1}}, Box{{-0.1f, -0.1f}, {0.1f, 0.1f}}), Error);
  CHECK(error_of([] { DarkPlaneExplorer{{.radius = 0.01f}}; }) ==
        "dark plane explorer: radius is 0.01, it must be at least 0.02 to search with");
  CHECK_THROWS_AS(DarkPlaneExplorer{{.radius = -1}}, Error);

  DarkPlaneExplorer unpaid{DarkPlaneOptions{}};
  Rng rng{1};
  DarkPlane plane{{.horizon = 1000, .radius = 0.1f}, {0.93f, 0.93f}};  // smaller than it thinks
  plane.reset(rng);
  std::array<float, 2> before{}, after{}, action{};
  const auto search = [&] {
    for (int t = 0; t < 1000; ++t) {
      plane.observe(before);
      unpaid.act(before, action, rng);
      plane.step(action, rng);
      plane.observe(after);
      unpaid.learn({.observation = before, .action = action, .next_observation = after});
    }
  };
  CHECK(error_of(search) == "dark plane explorer: no place is left for the target; this is not the plane it knows");
}
