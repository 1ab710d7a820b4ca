// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/history/history_description.hpp>

#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/special_numbers.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

std::vector<Space> all_kinds_of_spaces() {
  return {Discrete{65535},
          MultiDiscrete{{9, 300}},
          Box{{-infinity, 2}, {0.5f, infinity}},
          Box{{0, 0}, {1, 1}, {2, 1}},
          image_box(2, 3, 4),
          Box{{0, 7}, {65535, 7}, {}, ElementType::u16}};
}

HistoryInfo read_back(const HistoryInfo& info, std::uint32_t version) {
  const ByteWriter bytes = detail::write_description(info);
  return detail::read_description(bytes.bytes(), version, "it");
}

}  // namespace

TEST_CASE("Descriptions come back as they were written", "[history]") {
  for (const Space& space : all_kinds_of_spaces()) {
    for (int columns = 0; columns < 8; ++columns) {
      const HistoryInfo info{.observation_space = space,
                             .action_space = Discrete{3},
                             .task = -5,
                             .algorithm = "teacher",
                             .seed = ~std::uint64_t{0},
                             .has_action_mask = (columns & 1) != 0,
                             .has_behavior_probability = (columns & 2) != 0,
                             .has_expert_action = (columns & 4) != 0};

      CHECK(read_back(info, 2) == info);
      if (detail::version_for(info) == 1) CHECK(read_back(info, 1) == info);
    }
  }
}

TEST_CASE("Only boxes with a shape or of whole numbers need version 2", "[history]") {
  const auto version = [](const Space& observations, const Space& actions) {
    return detail::version_for({.observation_space = observations, .action_space = actions});
  };
  const std::vector<Space> spaces = all_kinds_of_spaces();
  for (std::size_t i = 0; i < spaces.size(); ++i) CHECK(version(spaces[i], Discrete{2}) == (i < 3 ? 1u : 2u));
  CHECK(version(Discrete{2}, Box{{0}, {1}}) == 1);
  CHECK(version(Discrete{2}, Box{{0}, {1}, {1}}) == 2);

  CHECK(error_of([&] { (void)read_back({.observation_space = image_box(1, 1, 1), .action_space = Discrete{2}}, 1); }) ==
        "it: description: kind of a space is 4, it must lie in 1 .. 3");
}

TEST_CASE("Actions that are whole numbers of a box are refused", "[history]") {
  CHECK(
      has(error_of([&] { (void)read_back({.observation_space = Discrete{2}, .action_space = image_box(1, 1, 1)}, 2); }),
          "the numbers of an action must be f32, not u8"));
}
