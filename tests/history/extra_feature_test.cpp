// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/history/extra_feature.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("Extra features lie one after another and are found by name and size", "[history]") {
  const std::vector<ExtraFeature> features{{"mask", 5}, {"return_to_go"}, {"lidar", 8}};

  CHECK(extra_size(features) == 14);
  CHECK(extra_size({}) == 0);
  CHECK(find_extra_feature(features, {"mask", 5}) == 0);
  CHECK(find_extra_feature(features, {"return_to_go"}) == 5);
  CHECK(find_extra_feature(features, {"lidar", 8}) == 6);
  CHECK(find_extra_feature(features, {"lidar", 7}) == -1);
  CHECK(find_extra_feature(features, {"sonar", 8}) == -1);
  CHECK(to_string(features) == "mask (5), return_to_go (1), lidar (8)");
  CHECK(to_string(std::vector<ExtraFeature>{}) == "none");
}

TEST_CASE("Extra features that no file can hold are refused", "[history]") {
  const auto error = [](const std::vector<ExtraFeature>& features) {
    return error_of([&] { validate(features, "it"); });
  };

  CHECK(error({{"Mask-2.b_", 65536}}).empty());
  CHECK(error({{"a"}, {""}}) ==
        "it: extra feature 1 has the name \"\", it must have 1 .. 64 letters, digits, '_', '-' or '.'");
  for (const std::string name : {"two words", "comma,", "quote\"", "\xc3\xa4", "line\n"})
    CHECK(has(error({{name}}), "has the name"));
  CHECK(error({{std::string(64, 'x')}}).empty());
  CHECK(has(error({{std::string(65, 'x')}}), "it must have 1 .. 64"));
  CHECK(error({{"a"}, {"b"}, {"a", 2}}) == "it: two extra features have the name \"a\"");
  CHECK(error({{"a", 0}}) == "it: extra feature a has 0 numbers, it must have 1 .. 65536");
  CHECK(error({{"a", 65537}}) == "it: extra feature a has 65537 numbers, it must have 1 .. 65536");
  CHECK(error({{"a", 65536}, {"b"}}) == "it: the extra features have 65537 numbers in all, at most 65536 are possible");
  std::vector<ExtraFeature> many;
  for (int i = 0; i < 65; ++i) many.push_back({std::to_string(i)});
  CHECK(error(many) == "it: there are 65 extra features, at most 64 are possible");
}
