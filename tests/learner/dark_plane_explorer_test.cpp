// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/dark_plane_explorer.hpp>

#include <algorithm>
#include <array>
#include <cmath>
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
  const PlaneSweeps sweeps = plan_plane_sweeps(planes.options());
  double late = 0, oracle = 0;
  for (int task = 0; task < 40; ++task) {
    Rng rng{4, static_cast<std::uint64_t>(task)};
    DarkPlaneExplorer explorer{planes.options(), sweeps};
    const LearningHistory history = run(explorer, planes.make(task), 8, rng);
    double found = 0;
    for (int e = 0; e < 5; ++e) found += return_of(history, e);
    CHECK(found > 0);
    for (int e = 6; e < 8; ++e) late += return_of(history, e) / 2;
    oracle += planes.oracle_return(task);
  }
  CHECK(late > 0.99 * oracle);
}

TEST_CASE("Planned sweeps move as far as an action can and come near every place of the plane", "[learner]") {
  for (const DarkPlaneOptions& options :
       {DarkPlaneOptions{}, DarkPlaneOptions{.horizon = 12, .radius = 0.3f, .max_move = 0.35f}}) {
    const PlaneSweeps sweeps = plan_plane_sweeps(options);
    const double move = static_cast<double>(options.max_move), radius = static_cast<double>(options.radius);
    CHECK(sweeps.size() <= 5);
    for (const auto& sweep : sweeps) {
      CHECK(sweep.size() == static_cast<std::size_t>(options.horizon));
      PlanePoint last;
      for (const PlanePoint place : sweep) {
        CHECK(std::max(std::abs(place.x), std::abs(place.y)) <= 1);
        CHECK(std::max(std::abs(place.x - last.x), std::abs(place.y - last.y)) <= move + 1e-12);
        last = place;
      }
    }
    Rng rng{6};
    for (int i = 0; i < 500; ++i) {
      const double x = 2 * rng.uniform() - 1;
      const PlanePoint target{x, 2 * rng.uniform() - 1};
      double nearest = 2;
      for (const auto& sweep : sweeps)
        for (const PlanePoint place : sweep) nearest = std::min(nearest, distance(place, target));
      CHECK(nearest <= radius);
    }
  }
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
  CHECK(error_of([] { (void)plan_plane_sweeps({.radius = 0.01f}); }) ==
        "plane sweeps: radius is 0.01, it must be at least 0.02 to search with");
  CHECK(error_of([] {
          DarkPlaneExplorer{{}, {}};
        }) == "dark plane explorer: it needs sweeps of at least one step each (see plan_plane_sweeps)");
  CHECK_THROWS_AS((DarkPlaneExplorer{{}, {{{0, 0}}, {}}}), Error);
  CHECK(error_of([] {
          DarkPlaneExplorer{{.radius = 1e-9f}, {{{0, 0}}}};
        }) == "plane sweeps: radius is 1e-09, it must be at least 0.02 to search with");
  CHECK(error_of([] { (void)plan_plane_sweeps({.horizon = 4, .radius = 0.2f, .max_move = 0.15f}); }) ==
        "plane sweeps: episodes of 4 steps of at most 0.15 do not lead within 0.2 of every place (use a longer "
        "horizon)");
  CHECK_THROWS_AS(DarkPlaneExplorer{{.radius = -1}}, Error);

  // Paid in the center, but nowhere around it.
  DarkPlaneExplorer misled{DarkPlaneOptions{}};
  const std::array<float, 2> none{};
  misled.learn({.observation = none, .action = none, .reward = 1, .next_observation = none});
  const auto search = [&] {
    for (const float x : {-0.15f, 0.0f, 0.15f}) {
      for (const float y : {-0.15f, 0.0f, 0.15f}) {
        const std::array<float, 2> place{x, y};
        misled.learn({.observation = none, .action = none, .next_observation = place});
      }
    }
  };
  CHECK(error_of(search) == "dark plane explorer: no place is left for the target; this is not the plane it knows");
}
