// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/dark_room_oracle.hpp>

#include <icrl/learner/run.hpp>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("The dark room's oracle earns what the rooms say an oracle earns", "[learner]") {
  for (const int side : {1, 4, 9}) {
    const DarkRooms rooms{{.side = side, .horizon = 12}};
    for (int task = 0; task < rooms.task_count(); ++task) {
      const DarkRoom room = rooms.make(task);
      DarkRoomOracle oracle{side, room.goal()};

      const LearningHistory history = run(oracle, room, 2, Rng{1});

      CHECK(history.episode(1).total_reward() == Approx(rooms.oracle_return(task)));
    }
  }
}

TEST_CASE("The dark room's oracle refuses rooms of another size and other actions", "[learner]") {
  const DarkRoomOracle oracle{9, {1, 2}};

  CHECK_NOTHROW(oracle.check_spaces(MultiDiscrete{{9, 9}}, Discrete{5}));
  CHECK_THROWS_AS(oracle.check_spaces(MultiDiscrete{{9, 8}}, Discrete{5}), Error);
  CHECK_THROWS_AS(oracle.check_spaces(Discrete{81}, Discrete{5}), Error);
  CHECK_THROWS_AS(oracle.check_spaces(MultiDiscrete{{9, 9}}, Discrete{4}), Error);
}
