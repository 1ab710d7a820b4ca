// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/dark_plane_oracle.hpp>

#include <icrl/env/dark_plane.hpp>
#include <icrl/learner/run.hpp>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("The Dark Plane's oracle earns what its family says that the oracle earns", "[learner]") {
  const DarkPlanes planes{{.task_count = 20}};
  for (int task = 0; task < planes.task_count(); ++task) {
    const DarkPlane plane = planes.make(task);
    DarkPlaneOracle oracle{plane.target(), planes.options().max_move};
    Rng rng{1};
    const LearningHistory history = run(oracle, plane, 2, rng);
    CHECK(history.view().episode(0).total_reward() == planes.oracle_return(task));
    CHECK(history.view().episode(1).total_reward() == planes.oracle_return(task));
  }
}

TEST_CASE("The Dark Plane's oracle refuses actions and observations of other numbers", "[learner]") {
  const DarkPlane plane{{}, {0.5f, 0.5f}};
  const DarkPlaneOracle oracle{plane.target(), plane.options().max_move};

  CHECK_NOTHROW(oracle.check_spaces(plane.observation_space(), plane.action_space()));
  CHECK_THROWS_AS(oracle.check_spaces(plane.observation_space(), Box{{-0.2f}, {0.2f}}), Error);
  CHECK_THROWS_AS(oracle.check_spaces(plane.observation_space(), Box{{-1, -1}, {1, 1}}), Error);
  CHECK_THROWS_AS(oracle.check_spaces(Box{{-1}, {1}}, plane.action_space()), Error);
}
