// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/history/window_draw.hpp>

#include <set>
#include <vector>

#include "support/catch.hpp"
#include "support/histories.hpp"

using namespace icrl;
using namespace icrl::test;
using detail::EpisodeLengths, detail::KeptEpisodes, detail::WindowBegin, detail::WindowDraw;

TEST_CASE("Episode lengths are the longest and whether all are equal", "[history]") {
  const LearningHistory uneven = telling_history(0, {3, 1, 4}), even = telling_history(0, {4, 4}),
                        single = telling_history(0, {7});

  CHECK(EpisodeLengths::of(uneven.view()).longest == 4);
  CHECK_FALSE(EpisodeLengths::of(uneven.view()).are_even);
  CHECK(EpisodeLengths::of(even.view()).longest == 4);
  CHECK(EpisodeLengths::of(even.view()).are_even);
  CHECK(EpisodeLengths::of(single.view()).are_even);
}

TEST_CASE("Kept episodes are found without a look at where even ones end", "[history]") {
  const LearningHistory uneven = telling_history(0, {3, 1, 4, 2, 5}), even = telling_history(0, {4, 4, 4, 4, 4});
  for (const LearningHistory& history : {uneven, even}) {
    const KeptEpisodes kept{history.view(), EpisodeLengths::of(history.view()), 1, 2, 2, false, 0};
    for (int i = 0; i < kept.count; ++i) {
      const int e = kept.index(i);
      CHECK(e == 1 + 2 * i);
      CHECK(kept.length(i) == history.view().episode_length(e));
      CHECK(kept.first_step_of(e) == history.view().first_step(e));
    }
  }
}

TEST_CASE("A draw keeps every k-th episode from a random phase on and begins where a full window fits", "[history]") {
  const LearningHistory history = telling_history(0, {3, 1, 4, 2, 5, 3, 3, 2});
  const EpisodeLengths lengths = EpisodeLengths::of(history.view());
  const WindowConfig config{.context = 5, .subsample = 2, .start = WindowStart::anywhere, .history_start_fraction = 0};
  std::set<int> first_episodes;
  std::set<std::vector<int>> begins;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    WindowDraw draw = WindowDraw::of(history.view(), lengths, config, Rng{seed});
    const WindowBegin begin = draw.begin(config, false);
    CHECK(draw.kept.stride == 2);
    CHECK(draw.kept.count == 4);
    CHECK_FALSE(draw.is_from_start);
    int rows = -begin.step;
    for (int i = begin.episode; i < draw.kept.count; ++i) rows += draw.kept.length(i);
    REQUIRE(rows >= 5);
    REQUIRE(begin.step < draw.kept.length(begin.episode));
    first_episodes.insert(draw.kept.first);
    begins.insert({draw.kept.first, begin.episode, begin.step});
  }

  CHECK(first_episodes == std::set<int>{0, 1});
  CHECK(begins.size() == (3 + 4 + 5 + 3 - 4) + (1 + 2 + 3 + 2 - 4));  // steps with at least four behind them
}

TEST_CASE("A window from the start begins with the first kept episode", "[history]") {
  const LearningHistory history = telling_history(0, {3, 1, 4});
  const WindowConfig config{.context = 2, .history_start_fraction = 1};
  WindowDraw draw = WindowDraw::of(history.view(), EpisodeLengths::of(history.view()), config, Rng{1});

  CHECK(draw.is_from_start);
  CHECK(draw.begin(config, true).episode == 0);
  CHECK(draw.begin(config, true).step == 0);
  CHECK(draw.ends(2).size() == 2 * sizeof(std::uint64_t));  // a window of two rows shows two episodes at most
}

TEST_CASE("Windows of no rows, of no episodes and of impossible shares are refused", "[history]") {
  const auto error = [](const WindowConfig& config) { return error_of([&] { validate(config); }); };

  CHECK(error({}).empty());
  CHECK(error({.context = 0}) == "window: context is 0, it must be at least 1");
  CHECK(error({.subsample = 0}) == "window: subsample is 0, it must be at least 1");
  CHECK(error({.skip_fraction = 1}) == "window: skip_fraction is 1, it must lie in [0, 1)");
  CHECK(error({.history_start_fraction = -0.5}) == "window: history_start_fraction is -0.5, it must lie in [0, 1]");
}
