// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/schedule.hpp>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("The rate rises linearly and falls along half a cosine wave", "[train]") {
  const WarmupCosine schedule{.peak = 2, .final_share = 0.1, .warmup = 4, .updates = 12};

  CHECK(schedule.rate(0) == Approx(0.5));
  CHECK(schedule.rate(1) == Approx(1.0));
  CHECK(schedule.rate(3) == Approx(2.0));
  CHECK(schedule.rate(5) == Approx(2 * (0.1 + 0.9 * 0.5 * (1 + 0.70710678118654752))));  // a quarter of the wave
  CHECK(schedule.rate(7) == Approx(1.1));                                                // half of it
  CHECK(schedule.rate(9) == Approx(2 * (0.1 + 0.9 * 0.5 * (1 - 0.70710678118654752))));
  CHECK(schedule.rate(11) == Approx(0.2));
}

TEST_CASE("The rate never falls while it warms up, never rises after, and stays within its bounds", "[train]") {
  for (const int warmup : {0, 1, 7, 50}) {
    const WarmupCosine schedule{.peak = 3e-3, .final_share = 0.25, .warmup = warmup, .updates = 50};
    for (int update = 0; update < 50; ++update) {
      const double rate = schedule.rate(update), next = schedule.rate(update + 1);
      INFO("update " << update << " of 50, " << warmup << " to warm up");
      CHECK(rate > 0);
      CHECK(rate <= 3e-3);
      CHECK((update + 1 < warmup ? next > rate : next <= rate));
      if (update >= warmup) CHECK(rate >= 0.25 * 3e-3 * (1 - 1e-12));
    }
  }
}

TEST_CASE("A run of one update, and one that only warms up, have their rates", "[train]") {
  CHECK(WarmupCosine{.peak = 1, .final_share = 0.5, .warmup = 0, .updates = 1}.rate(0) == Approx(0.5));
  CHECK(WarmupCosine{.peak = 1, .final_share = 0.5, .warmup = 1, .updates = 1}.rate(0) == 1);
  CHECK(WarmupCosine{.peak = 1, .final_share = 0.5, .warmup = 5, .updates = 5}.rate(4) == 1);
  CHECK(WarmupCosine{.peak = 1, .final_share = 1, .warmup = 0, .updates = 9}.rate(8) == Approx(1));
}
