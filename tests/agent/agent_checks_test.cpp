// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/agent/agent_checks.hpp>

#include <array>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_model.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("Observations of the wrong number are refused with both numbers", "[agent]") {
  const detail::AgentChecks checks{id_layout()};
  const std::array members{4, 1};
  const std::array<float, 4> observations{1, 2, 3, 4};
  const auto refusal = [&](std::size_t count) {
    return error_of([&] {
      checks.check_observations(
          {.members = members, .observations = std::span{observations}.first(count), .masks = {}});
    });
  };

  CHECK(refusal(4).empty());
  CHECK(has(refusal(3), "observations hold 3 values; 2 members in multi_discrete(4, 5) need 4"));
}

TEST_CASE("Masks that do not fit the actions are refused, an empty one allows all", "[agent]") {
  const std::array members{0, 3};
  const auto refusal = [&](const StepLayout& layout, const std::vector<std::uint8_t>& masks) {
    return error_of(
        [&] { detail::AgentChecks{layout}.check_masks({.members = members, .observations = {}, .masks = masks}); });
  };

  CHECK(refusal(id_layout(), {}).empty());
  CHECK(refusal(box_layout(), {}).empty());
  CHECK(refusal(id_layout(), {0, 0, 1, 1, 0, 0}).empty());
  CHECK(has(refusal(id_layout(), {1, 1, 1, 1, 1}), "masks hold 5 bytes for 2 members with actions discrete(3)"));
  CHECK(has(refusal(box_layout(), {1, 1, 1, 1}), "masks hold 4 bytes for 2 members with actions box"));
  CHECK(has(refusal(id_layout(), {1, 1, 1, 0, 0, 0}), "the action mask of member 3 allows no action"));
}

TEST_CASE("The last observation of an episode is checked where the model sees it", "[agent]") {
  const std::array<float, 1> action{1};
  const std::array<float, 2> outside{9, 9};
  const auto refusal = [&](bool closing_token, bool terminated) {
    return error_of([&] {
      detail::AgentChecks{id_layout(closing_token)}.check_transition(
          {.action = action, .next_observation = outside, .terminated = terminated}, 7);
    });
  };

  CHECK(refusal(false, true).empty());
  CHECK(refusal(true, false).empty());
  CHECK(has(refusal(true, true), "member 7 observes [9, 9]"));
}
