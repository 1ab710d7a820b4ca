// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/io/config_json.hpp>

#include "support/catch.hpp"
#include "support/decimal_comma.hpp"
#include "support/histories.hpp"
#include "support/special_numbers.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

TransformerConfig unusual_config() {
  return {.width = 24,
          .layer_count = 3,
          .head_count = 6,
          .hidden = 50,
          .context = 17,
          .positions = PositionScheme::rotary,
          .tokens = TokenScheme::separate,
          .window_start = WindowStart::anywhere,
          .reward_scale = 0.1};
}

std::string config_error(const char* key, const Json& value) {
  Json json = to_json(unusual_config());
  json[key] = value;
  return error_of([&] { (void)transformer_config_from_json(json, "config"); });
}

std::string space_error(const char* text) {
  return error_of([&] { (void)space_from_json(parse_json(text, "space"), "space"); });
}

}  // namespace

TEST_CASE("Configurations come back from JSON as they were", "[io]") {
  for (const TransformerConfig& config : {TransformerConfig{}, unusual_config()}) {
    const std::string text = to_text(to_json(config), "config");
    CHECK(transformer_config_from_json(parse_json(text, "config"), "config") == config);
  }
  CHECK(
      to_text(to_json(TransformerConfig{}), "config") ==
      R"({"context":80,"head_count":4,"hidden":0,"layer_count":4,"positions":"learned","reward_scale":1.0,"tokens":"fused","width":64,"window_start":"episode"})");
}

TEST_CASE("A configuration names its unknown, missing and impossible keys", "[io]") {
  CHECK(has(config_error("widht", 3), "config: unknown key \"widht\" (known: context, "));
  CHECK(config_error("width", 2.5) == "config: \"width\": should be a whole number, it is 2.5");
  CHECK(has(config_error("width", 1'000'002), "config: transformer: width is 1000002"));
  CHECK(has(config_error("width", 25), "config: transformer: width 25 is no multiple of head_count 6"));
  CHECK(config_error("positions", "round") == "config: \"positions\" is \"round\", it can be learned or rotary");
  CHECK(config_error("reward_scale", "1") == "config: \"reward_scale\" should be a number, it is \"1\"");
  Json json = to_json(unusual_config());
  json.erase("tokens");
  CHECK(error_of([&] { (void)transformer_config_from_json(json, "config"); }) == "config: \"tokens\" is missing");
}

TEST_CASE("Spaces and layouts come back from JSON as they were", "[io]") {
  const Space spaces[] = {Discrete{5}, MultiDiscrete{{9, 65535}}, Box{{-1, -infinity}, {0.1f, infinity}}};
  for (const Space& observations : spaces) {
    for (const Space& actions : spaces) {
      const StepLayout layout{.observation_space = observations, .action_space = actions, .closing_token = true};
      const std::string text = to_text(to_json(layout), "layout");
      CAPTURE(text);
      CHECK(step_layout_from_json(parse_json(text, "layout"), "layout") == layout);
    }
  }
}

TEST_CASE("A box tells its shape and element type only where they are not the default", "[io]") {
  const auto text = [](const Space& space) { return to_text(to_json(space), "space"); };
  const Space spaces[] = {Box{{0}, {1}}, image_box(1, 2, 1), Box{{0, 0}, {1, 0.5f}, {2, 1}},
                          Box{{0}, {65535}, {}, ElementType::u16}};

  CHECK(text(spaces[0]) == R"({"box":{"high":[1.0],"low":[0.0]}})");
  CHECK(text(spaces[1]) == R"({"box":{"element":"u8","high":[255.0,255.0],"low":[0.0,0.0],"shape":[1,2,1]}})");
  CHECK(text(spaces[2]) == R"({"box":{"high":[1.0,0.5],"low":[0.0,0.0],"shape":[2,1]}})");
  CHECK(text(spaces[3]) == R"({"box":{"element":"u16","high":[65535.0],"low":[0.0]}})");
  for (const Space& space : spaces) CHECK(space_from_json(to_json(space), "space") == space);
}

TEST_CASE("Spaces that make no sense are refused", "[io]") {
  CHECK(space_error(R"({"discrete": 0})") == "space: \"discrete\": is 0, it must lie in 1 .. 65535");
  CHECK(has(space_error(R"({"discrete": 70000})"), "must lie in 1 .. 65535"));
  CHECK(has(space_error(R"({"discrete": 5, "multi_discrete": [2]})"), "unknown key \"multi_discrete\""));
  CHECK(space_error(R"({"multi_discrete": [2, "x"]})") ==
        "space: multi_discrete: should be a whole number, it is \"x\"");
  CHECK(space_error(R"({"multi_discrete": {"a": 2}})") ==
        "space: \"multi_discrete\" should be a list, it is of type object");
  CHECK(has(space_error(R"({"multi_discrete": []})"), "has no components"));
  CHECK(has(space_error(R"({"box": {"low": [1], "high": [0]}})"), "has no value between its bounds"));
  CHECK(has(space_error(R"({"box": {"low": [1], "high": []}})"), "1 lower and 0 upper bounds"));
  CHECK(has(space_error(R"({"box": {"low": ["nan"], "high": [1]}})"), "holds \"nan\", which is no 32-bit number"));
  CHECK(has(space_error(R"({"box": {"low": [1e300], "high": [1]}})"), "which is no 32-bit number"));
  CHECK(has(space_error(R"({"box": {"low": [0], "high": [1], "hgih": 3}})"), "unknown key \"hgih\""));
  CHECK(has(space_error(R"({"box": {"low": [0], "high": [1], "element": "u4"}})"), "it can be f32 or u16 or u8"));
  CHECK(has(space_error(R"({"box": {"low": [0], "high": [256], "element": "u8"}})"), "whole numbers in 0 .. 255"));
  CHECK(has(space_error(R"({"box": {"low": [0], "high": [1], "shape": [2]}})"), "of shape 2 has 2 numbers"));
  CHECK(has(space_error(R"({"box": {"low": [0], "high": [1], "shape": [0]}})"), "box shape: is 0, it must lie in"));
  CHECK(has(space_error(R"({"box": {"low": [0], "high": [1], "shape": 1}})"), "should be a list"));
  CHECK(space_error(R"({"disc": 3})") == "space: \"box\" is missing");
  std::string many = R"({"multi_discrete": [65535)";
  for (int i = 0; i < 300; ++i) many += ",65535";
  CHECK(has(space_error((many + "]}").c_str()), "ids in all"));
}

TEST_CASE("Configurations do not care for decimal commas", "[io]") {
  const DecimalComma comma;

  const std::string text = to_text(to_json(unusual_config()), "config");

  CHECK(has(text, "\"reward_scale\":0.1,"));
  CHECK(transformer_config_from_json(parse_json(text, "config"), "config") == unusual_config());
}
