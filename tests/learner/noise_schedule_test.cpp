// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/learner/noise_schedule.hpp>

#include "support/catch.hpp"
#include "support/histories.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("Noise falls along a line and then stays", "[learner]") {
  const NoiseSchedule noise{.start = 1, .end = 0.2, .anneal_share = 0.5, .episodes = 20};

  CHECK(noise.at(0) == 1);
  CHECK(noise.at(5) == Approx(0.6));
  CHECK(noise.at(10) == Approx(0.2));
  CHECK(noise.at(1000) == Approx(0.2));
}

TEST_CASE("Noise that has no time to fall is at its end", "[learner]") {
  CHECK(NoiseSchedule{.end = 0.3, .anneal_share = 0}.at(0) == 0.3);
  CHECK(NoiseSchedule{.end = 0.3, .episodes = 0}.at(0) == 0.3);
}

TEST_CASE("Noise out of range is refused", "[learner]") {
  CHECK(has(error_of([] { validate(NoiseSchedule{.start = 1.5}); }), "start is 1.5"));
  CHECK(has(error_of([] { validate(NoiseSchedule{.episodes = -1}); }), "episodes is -1"));
}
