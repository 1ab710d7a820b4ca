// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/space.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/special_numbers.hpp"

using namespace icrl;
using test::infinity, test::not_a_number;

namespace {

bool holds(const Space& space, const std::vector<float>& element) { return contains(space, element); }

std::string error_of_validating(const Space& space) {
  return test::error_of([&] { validate(space, "the action space"); });
}

}  // namespace

TEST_CASE("Spaces tell what their elements are made of", "[env]") {
  CHECK(value_count(Discrete{5}) == 1);
  CHECK(value_count(MultiDiscrete{{9, 9, 2}}) == 3);
  CHECK(value_count(Box{{-1, 0}, {1, 4}}) == 2);

  CHECK(id_counts(Discrete{5}) == std::vector<int>{5});
  CHECK(id_counts(MultiDiscrete{{9, 8}}) == std::vector<int>{9, 8});
  CHECK(id_counts(Box{{0}, {1}}).empty());

  CHECK(has_ids(Discrete{2}));
  CHECK(has_ids(MultiDiscrete{{2}}));
  CHECK_FALSE(has_ids(Box{{0}, {1}}));
}

TEST_CASE("Spaces are equal when they are of one kind with the same bounds", "[env]") {
  CHECK(Space{Discrete{5}} == Space{Discrete{5}});
  CHECK(Space{Discrete{5}} != Space{Discrete{6}});
  CHECK(Space{Discrete{5}} != Space{MultiDiscrete{{5}}});
  CHECK(Space{Box{{0}, {1}}} != Space{Box{{0}, {2}}});
  CHECK(Space{Box{{0}, {1}}} != Space{Box{{0}, {1}, {1}}});
  CHECK(Space{Box{{0}, {1}, {1}}} != Space{Box{{0}, {1}, {1, 1}}});
  CHECK(Space{Box{{0}, {1}}} != Space{Box{{0}, {1}, {}, ElementType::u8}});
}

TEST_CASE("An image is a box of bytes with height, width and channels", "[env]") {
  const Box image = image_box(2, 3, 4);

  CHECK(image.low == std::vector<float>(24, 0));
  CHECK(image.high == std::vector<float>(24, 255));
  CHECK(image.shape == std::vector<int>{2, 3, 4});
  CHECK(image.element == ElementType::u8);
  CHECK(value_count(image) == 24);
  CHECK(is_whole(image));
  CHECK_FALSE(is_whole(Box{{0}, {1}, {1}}));
  CHECK(is_whole(Discrete{2}));
  for (const int size : {0, -1, 300, std::numeric_limits<int>::max()})
    CHECK_THROWS_AS(image_box(size, size, size), Error);
}

TEST_CASE("Spaces are written as a reader would", "[env]") {
  CHECK(to_string(Discrete{5}) == "discrete(5)");
  CHECK(to_string(MultiDiscrete{{9, 9}}) == "multi_discrete(9, 9)");
  CHECK(to_string(Box{{-1, -0.5f}, {1, infinity}}) == "box([-1, -0.5], [1, inf])");
  CHECK(to_string(Box{{0, 0}, {1, 1}, {2, 1}}) == "box([0, 0], [1, 1], 2 x 1)");
  CHECK(to_string(image_box(1, 2, 1)) == "box([0, 0], [255, 255], 1 x 2 x 1, u8)");
  CHECK(to_string(Box{{7}, {9}, {}, ElementType::u16}) == "box([7], [9], u16)");
}

TEST_CASE("Short texts of spaces show the first few of many components", "[env]") {
  CHECK(to_short_string(Discrete{5}) == "discrete(5)");
  CHECK(to_short_string(MultiDiscrete{{9, 9}}) == to_string(MultiDiscrete{{9, 9}}));
  CHECK(to_short_string(MultiDiscrete{std::vector<int>(13, 2)}) == "multi_discrete(2, 2, 2, 2, ... (13 in all))");
  CHECK(to_short_string(Box{std::vector<float>(12), std::vector<float>(7056, 1)}) ==
        "box([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, ... (7056 in all)])");
  CHECK(to_short_string(image_box(84, 84, 1)) ==
        "box([0, 0, 0, 0, ... (7056 in all)], [255, 255, 255, 255, ... (7056 in all)], 84 x 84 x 1, u8)");
}

TEST_CASE("Only whole ids below the count lie in a space of ids", "[env]") {
  CHECK(holds(Discrete{3}, {0}));
  CHECK(holds(Discrete{3}, {2}));
  for (const float other : {-1.0f, 0.5f, 3.0f, infinity, not_a_number}) CHECK_FALSE(holds(Discrete{3}, {other}));
  CHECK_FALSE(holds(Discrete{3}, {}));
  CHECK_FALSE(holds(Discrete{3}, {1, 1}));

  CHECK(holds(MultiDiscrete{{2, 70000}}, {1, 69999}));
  CHECK_FALSE(holds(MultiDiscrete{{2, 3}}, {2, 0}));
  CHECK_FALSE(holds(MultiDiscrete{{2, 3}}, {1, 0.5f}));
  CHECK_FALSE(holds(MultiDiscrete{{2, 3}}, {1}));
}

TEST_CASE("Only finite numbers within the bounds lie in a box", "[env]") {
  const Space box = Box{{-1, -infinity}, {1, 2}};
  CHECK(holds(box, {-1, 2}));
  CHECK(holds(box, {1, -1e30f}));
  CHECK_FALSE(holds(box, {-1.001f, 0}));
  CHECK_FALSE(holds(box, {0, 2.001f}));
  CHECK_FALSE(holds(box, {not_a_number, 0}));
  CHECK_FALSE(holds(box, {0, -infinity}));
  CHECK_FALSE(holds(box, {0}));
}

TEST_CASE("Only whole numbers within the bounds lie in a box of whole numbers", "[env]") {
  for (const ElementType element : {ElementType::u8, ElementType::u16}) {
    const Space box = Box{{0, 3}, {255, 5}, {}, element};
    CHECK(holds(box, {0, 3}));
    CHECK(holds(box, {255, 5}));
    CHECK_FALSE(holds(box, {254.5f, 4}));
    CHECK_FALSE(holds(box, {256, 4}));
    CHECK_FALSE(holds(box, {7, 2}));
    CHECK_FALSE(holds(box, {not_a_number, 4}));
  }
}

TEST_CASE("Samples lie in their space and reach all of it", "[env]") {
  const std::vector<Space> spaces{Discrete{4},
                                  Discrete{1},
                                  MultiDiscrete{{2, 3}},
                                  Box{{-3, 5}, {-1, 5}},
                                  Box{{-infinity, -infinity, 7}, {infinity, -5, infinity}},
                                  Box{{0, 250, 7}, {9, 255, 7}, {3, 1}, ElementType::u8}};
  Rng rng{1};
  for (const Space& space : spaces) {
    const auto size = static_cast<std::size_t>(value_count(space));
    std::vector<float> element(size), least(size, infinity), most(size, -infinity);
    for (int i = 0; i < 1000; ++i) {
      sample(space, rng, element);
      REQUIRE(contains(space, element));
      for (std::size_t k = 0; k < size; ++k) {
        least[k] = std::min(least[k], element[k]);
        most[k] = std::max(most[k], element[k]);
      }
    }
    const std::vector<int> counts = id_counts(space);
    for (std::size_t k = 0; k < counts.size(); ++k) {
      CHECK(least[k] == 0);
      CHECK(most[k] == static_cast<float>(counts[k] - 1));
    }
    if (const auto* box = std::get_if<Box>(&space))
      for (std::size_t k = 0; k < size; ++k) {
        const float width = std::isfinite(box->low[k]) && std::isfinite(box->high[k]) ? box->high[k] - box->low[k] : 1;
        CHECK(most[k] - least[k] >= 0.95f * width);
      }
  }
}

TEST_CASE("A space that holds nothing, or too much, is refused", "[env]") {
  CHECK(error_of_validating(Discrete{1}).empty());
  CHECK(error_of_validating(Discrete{65535}).empty());
  CHECK(error_of_validating(Box{{-infinity, 2}, {infinity, 2}}).empty());

  CHECK(error_of_validating(Discrete{0}) ==
        "the action space: discrete(0) has a component of 0 ids, it must have 1 .. 65535");
  CHECK(error_of_validating(MultiDiscrete{{3, 65536}}) ==
        "the action space: multi_discrete(3, 65536) has a component of 65536 ids, it must have 1 .. 65535");
  CHECK(error_of_validating(MultiDiscrete{}) == "the action space: the space multi_discrete() has no components");
  CHECK(error_of_validating(Box{{0, 0}, {1}}) ==
        "the action space: a box has 2 lower and 1 upper bounds, it must have as many of each");
  const std::vector<float> wide(65536), wider(65537);
  CHECK(error_of_validating(Box{wide, wide}).empty());
  CHECK(error_of_validating(Box{wider, wider}) ==
        "the action space: the space has 65537 components, at most 65536 are allowed");
  CHECK(error_of_validating(MultiDiscrete{std::vector<int>(257, 65535)}) ==
        "the action space: the space has 16842495 ids in all, at most 16777216 are allowed");
  for (const Box& box : {Box{{0, 2}, {1, 1}}, Box{{0, not_a_number}, {1, 1}}, Box{{0, 0}, {1, not_a_number}},
                         Box{{0, infinity}, {1, infinity}}, Box{{0, -infinity}, {1, -infinity}}})
    CHECK(test::has(error_of_validating(box), "number 1 of box([0, "));

  const std::string limits = ": a shape has 1 .. 8 sizes, each at least 1, and at most 65536 numbers in all";
  CHECK(error_of_validating(Box{{0, 0}, {1, 1}, {2, 1, 1}}).empty());
  CHECK(error_of_validating(Box{{0, 0}, {1, 1}, {3, 1}}) ==
        "the action space: a box of shape 3 x 1 has 3 numbers, but bounds for 2");
  CHECK(error_of_validating(Box{{0, 0}, {1, 1}, {2, 0}}) ==
        "the action space: a box cannot have the shape 2 x 0" + limits);
  CHECK(error_of_validating(Box{{0, 0}, {1, 1}, {-2, -1}}) ==
        "the action space: a box cannot have the shape -2 x -1" + limits);
  constexpr int huge = std::numeric_limits<int>::max();
  CHECK(test::has(error_of_validating(Box{{0, 0}, {1, 1}, {huge, huge, huge, huge}}), limits));
  const std::vector<int> wraps{641, 6700417, 65535, 65537,
                               641, 6700417, 65535, 65537};  // their product is 1 in 64 bits
  CHECK(test::has(error_of_validating(Box{{0}, {1}, wraps}), limits));
  CHECK(error_of_validating(Box{{0}, {1}, std::vector<int>(8, 1)}).empty());
  CHECK(error_of_validating(Box{{0}, {1}, std::vector<int>(9, 1)}) ==
        "the action space: a box cannot have the shape of 9 dimensions" + limits);

  CHECK(error_of_validating(Box{{0}, {255}, {}, ElementType::u8}).empty());
  CHECK(error_of_validating(Box{{0}, {65535}, {}, ElementType::u16}).empty());
  for (const Box& box : {Box{{0}, {256}, {}, ElementType::u8}, Box{{-1}, {2}, {}, ElementType::u8},
                         Box{{0.5f}, {2}, {}, ElementType::u8}, Box{{0}, {infinity}, {}, ElementType::u8}})
    CHECK(test::has(error_of_validating(box), "bounds of type u8 must be whole numbers in 0 .. 255"));
  CHECK(
      error_of_validating(Box{{0}, {65536}, {}, ElementType::u16}) ==
      "the action space: number 0 of box([0], [65536], u16) has the bounds 0 .. 65536, but bounds of type u16 must be "
      "whole numbers in 0 .. 65535");

  Box crossed{std::vector<float>(7056, 0), std::vector<float>(7056, 1)};
  crossed.high[4321] = -1;
  CHECK(error_of_validating(crossed) ==
        "the action space: number 4321 of box([0, 0, 0, 0, ... (7056 in all)], [1, 1, 1, 1, ... (7056 in all)]) has no "
        "value between its bounds");
}

TEST_CASE("Actions are ids or real numbers", "[env]") {
  const auto error_of_actions = [](const Space& space) {
    return test::error_of([&] { validate_actions(space, "hand"); });
  };

  CHECK(error_of_actions(Discrete{3}).empty());
  CHECK(error_of_actions(Box{{0}, {1}, {1}}).empty());
  CHECK(error_of_actions(Discrete{0}) == "hand: discrete(0) has a component of 0 ids, it must have 1 .. 65535");
  CHECK(error_of_actions(Box{{0}, {1}, {}, ElementType::u8}) ==
        "hand: the numbers of an action must be f32, not u8 (whole numbers are ids: use discrete or multi_discrete)");
}
