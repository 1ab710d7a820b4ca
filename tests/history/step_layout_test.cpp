// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/history/step_layout.hpp>

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("A row is observation, previous action, previous reward and flag", "[history]") {
  const StepLayout layout{MultiDiscrete{{9, 9}}, Discrete{5}};
  std::vector<float> row(static_cast<std::size_t>(layout.feature_count()));

  layout.write(row, std::array{4.0f, 7.0f}, std::array{2.0f}, 0.5f, StepFlag::episode_start);

  CHECK(row == std::vector<float>{4, 7, 2, 0.5f, 1});
  CHECK(layout.observation_size() == 2);
  CHECK(layout.action_size() == 1);
  CHECK(layout.action_offset() == 2);
  CHECK(layout.reward_offset() == 3);
  CHECK(layout.flag_offset() == 4);
}

TEST_CASE("A row without a past has the null action of its space and no reward", "[history]") {
  const auto written = [](const Space& actions) {
    const StepLayout layout{Discrete{3}, actions};
    std::vector<float> row(static_cast<std::size_t>(layout.feature_count()), 77.0f);
    layout.write(row, std::array{1.0f}, {}, 9.0f, StepFlag::no_previous);
    return row;
  };

  CHECK(written(Discrete{5}) == std::vector<float>{1, 5, 0, 2});
  CHECK(written(MultiDiscrete{{4, 6}}) == std::vector<float>{1, 4, 6, 0, 2});
  CHECK(written(Box{{-1, -1}, {1, 1}}) == std::vector<float>{1, 0, 0, 0, 2});
}

TEST_CASE("The past of a row may be written alone", "[history]") {
  const StepLayout layout{MultiDiscrete{{9, 9}}, MultiDiscrete{{4, 6}}};
  for (const int flags : {0, StepFlag::no_previous, StepFlag::closing}) {
    std::vector<float> row(6), past(4);
    layout.write(row, std::array{4.0f, 7.0f}, std::array{1.0f, 5.0f}, 0.5f, flags);
    layout.write_past(past, std::array{1.0f, 5.0f}, 0.5f, flags);

    CHECK(std::ranges::equal(past, std::span{row}.last(4)));
  }
}

TEST_CASE("Forgetting the past of a row equals writing it without one", "[history]") {
  for (const Space& actions : {Space{Discrete{5}}, Space{MultiDiscrete{{4, 6}}}, Space{Box{{-1, -1}, {1, 1}}}}) {
    const StepLayout layout{Discrete{3}, actions};
    const std::vector<float> action(static_cast<std::size_t>(layout.action_size()), 1.0f);
    std::vector<float> forgotten(static_cast<std::size_t>(layout.feature_count())), written = forgotten;
    for (int flags = 0; flags < StepFlag::count; ++flags) {
      layout.write(forgotten, std::array{2.0f}, action, 3.0f, flags);
      layout.write(written, std::array{2.0f}, action, 3.0f, flags | StepFlag::no_previous);

      layout.forget_previous(forgotten);

      CHECK(forgotten == written);
    }
  }
}

TEST_CASE("Values may already lie at their place in the row", "[history]") {
  const StepLayout layout{Box{{0, 0}, {9, 9}}, Box{{0, 0}, {9, 9}}};
  std::vector<float> row{1, 2, 3, 4, 0, 0};

  layout.write(row, layout.observation_of(row), layout.previous_action_of(row), 5, 0);

  CHECK(row == std::vector<float>{1, 2, 3, 4, 5, 0});
}

TEST_CASE("Layouts that differ say in what", "[history]") {
  const StepLayout layout{MultiDiscrete{{4, 5}}, Discrete{3}};
  StepLayout closed = layout, other_actions = layout, other_ids = layout;
  closed.closing_token = true;
  other_actions.action_space = Box{{0}, {1}};
  other_ids.observation_space = MultiDiscrete{{4, 6}};

  CHECK(difference(layout, layout).empty());
  CHECK(difference(layout, closed) == "closing tokens false and true");
  CHECK(difference(layout, other_actions) == "action spaces discrete(3) and box([0], [1])");
  CHECK(difference(layout, other_ids) ==
        "observation spaces multi_discrete(4, 5) and multi_discrete(4, 6): component 1 has 5 and 6 ids");
}
