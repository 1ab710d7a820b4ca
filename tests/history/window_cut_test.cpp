// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/history/window_cut.hpp>

#include <cstdint>
#include <vector>

#include "support/catch.hpp"
#include "support/histories.hpp"

using namespace icrl;
using namespace icrl::test;
using detail::EpisodeLengths, detail::KeptEpisodes, detail::WindowBegin, detail::WindowCut, detail::WindowPart;

namespace {

/// The parts of a window over every second episode, from the first on: episode, first step, steps, closing row.
std::vector<std::vector<std::int64_t>> parts(const std::vector<int>& lengths, WindowBegin begin, int context,
                                             bool closing_token) {
  const LearningHistory history = telling_history(0, lengths);
  const KeptEpisodes kept{
      history.view(), EpisodeLengths::of(history.view()), 0, 2, (static_cast<int>(lengths.size()) + 1) / 2, false, 0};
  const StepLayout layout = telling_layout(closing_token);
  std::vector<std::vector<std::int64_t>> found;
  WindowCut{kept, begin, context, layout, false}.for_each_part([&](const WindowPart& part) {
    found.push_back({part.episode, part.first_step, part.step_count, part.is_closed ? 1 : 0});
  });
  return found;
}

using Parts = std::vector<std::vector<std::int64_t>>;

}  // namespace

TEST_CASE("A window's parts are the steps of its episodes, by hand", "[history]") {
  const std::vector<int> lengths{3, 9, 2, 9, 4};

  CHECK(parts(lengths, {0, 0}, 7, false) == Parts{{0, 0, 3, 0}, {2, 12, 2, 0}, {4, 23, 2, 0}});
  CHECK(parts(lengths, {0, 2}, 7, false) == Parts{{0, 2, 1, 0}, {2, 12, 2, 0}, {4, 23, 4, 0}});
  CHECK(parts(lengths, {1, 1}, 99, false) == Parts{{2, 13, 1, 0}, {4, 23, 4, 0}});
  CHECK(parts(lengths, {0, 0}, 7, true) == Parts{{0, 0, 3, 1}, {2, 12, 2, 1}});
  CHECK(parts(lengths, {0, 0}, 3, true) == Parts{{0, 0, 3, 0}});
  CHECK(parts(lengths, {0, 0}, 4, true) == Parts{{0, 0, 3, 1}});
  CHECK(parts(lengths, {2, 0}, 99, true) == Parts{{4, 23, 4, 1}});
}

TEST_CASE("An episode's observations lie behind those that end the episodes before", "[history]") {
  CHECK(WindowPart{0, 0, 3, false}.observation_of(2) == 2);
  CHECK(WindowPart{2, 12, 2, false}.observation_of(12) == 14);
}
