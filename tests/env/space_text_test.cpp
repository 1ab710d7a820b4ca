// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/space_text.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/special_numbers.hpp"

using namespace icrl;
using test::infinity, test::not_a_number;

namespace {

std::string why(const Space& space, const std::vector<float>& element) { return why_outside(space, element); }

constexpr std::size_t many = 84 * 84;
const Box picture{std::vector<float>(many, 0), std::vector<float>(many, 1)};

}  // namespace

TEST_CASE("The value that keeps an element out of its space is named with its bounds", "[env]") {
  CHECK(why(Discrete{3}, {2}).empty());
  CHECK(why(Discrete{3}, {3}) == "id 0 is 3, outside 0 .. 2");
  CHECK(why(Discrete{3}, {not_a_number}) == "id 0 is nan, outside 0 .. 2");
  CHECK(why(MultiDiscrete{{2, 3}}, {1, 0.5f}) == "id 1 is 0.5, not a whole number in 0 .. 2");
  CHECK(why(MultiDiscrete{{2, 3}}, {-1, 7}) == "id 0 is -1, outside 0 .. 1");
  CHECK(why(MultiDiscrete{{2, 3}}, {1}) == "1 values, but an element has 2");
  CHECK(why(Box{{-1, 0}, {1, infinity}}, {1, 1e30f}).empty());
  CHECK(why(Box{{-1, 0}, {1, infinity}}, {1, infinity}) == "number 1 is inf, not a finite number in 0 .. inf");
  CHECK(why(Box{{-1, 0}, {1, 2}}, {1.5f, 0}) == "number 0 is 1.5, outside -1 .. 1");
  CHECK(why(image_box(1, 2, 1), {0, 254.5f}) == "number 1 is 254.5, not a whole number in 0 .. 255");
  CHECK(why(image_box(1, 2, 1), {256, 0}) == "number 0 is 256, outside 0 .. 255");
  CHECK(why(image_box(1, 2, 1), {255, 0}).empty());
}

TEST_CASE("One wrong number of many is named, and its neighbors are not listed", "[env]") {
  std::vector<float> element(many, 0.125f);
  element[4321] = not_a_number;

  CHECK(why(picture, element) == "number 4321 is nan, outside 0 .. 1");
  CHECK(
      describe_outside(element, picture) ==
      "[0.125, 0.125, 0.125, 0.125, ... (7056 in all)], outside box([0, 0, 0, 0, ... (7056 in all)], [1, 1, 1, 1, ... (7056 in all)]): number 4321 is nan, outside 0 .. 1");
  CHECK(describe_outside(std::vector<float>{5}, Discrete{3}) == "[5], outside discrete(3)");
}

TEST_CASE("Two spaces that differ are told with the first component that does", "[env]") {
  CHECK(difference(Discrete{5}, Discrete{5}).empty());
  CHECK(difference(Discrete{5}, Discrete{6}) == "discrete(5) and discrete(6)");
  CHECK(difference(Discrete{5}, MultiDiscrete{{5}}) == "discrete(5) and multi_discrete(5)");
  CHECK(difference(MultiDiscrete{{5, 6}}, MultiDiscrete{{5}}) == "multi_discrete(5, 6) and multi_discrete(5)");
  CHECK(difference(MultiDiscrete{{5, 6}}, MultiDiscrete{{5, 7}}) ==
        "multi_discrete(5, 6) and multi_discrete(5, 7): component 1 has 6 and 7 ids");

  Box other = picture;
  other.high[4321] = 255;
  CHECK(test::has(difference(picture, other), "(7056 in all)]): number 4321 lies in 0 .. 1 and in 0 .. 255"));
  CHECK(difference(Box{{0, 0}, {1, 1}}, Box{{0}, {1}}) == "box([0, 0], [1, 1]) and box([0], [1])");

  CHECK(difference(image_box(1, 2, 1), image_box(2, 1, 1)) ==
        "box([0, 0], [255, 255], 1 x 2 x 1, u8) and box([0, 0], [255, 255], 2 x 1 x 1, u8)");
  CHECK(difference(Box{{0}, {1}}, Box{{0}, {1}, {}, ElementType::u8}) == "box([0], [1]) and box([0], [1], u8)");
}
