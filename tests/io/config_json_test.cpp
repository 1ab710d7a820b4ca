// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/io/config_json.hpp>

#include <icrl/model/transformer_config.hpp>

#include "support/catch.hpp"
#include "support/decimal_comma.hpp"
#include "support/every_field.hpp"
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
  Json json = parse_json(json_text(unusual_config()).text(), "config");
  json[key] = value;
  return error_of([&] { (void)config_from_json<TransformerConfig>(json, "config"); });
}

std::string space_error(const char* text) {
  return error_of([&] { (void)space_from_json(parse_json(text, "space"), "space"); });
}

}  // namespace

TEST_CASE("Configurations come back from JSON as they were", "[io]") {
  for (const TransformerConfig& config : {TransformerConfig{}, unusual_config()}) {
    const std::string text = json_text(config).text();
    CHECK(config_from_json<TransformerConfig>(parse_json(text, "config"), "config") == config);
  }
  CHECK(
      json_text(TransformerConfig{}).text() ==
      R"({"context":80,"head_count":4,"hidden":0,"layer_count":4,"positions":"learned","reward_scale":1.0,"tokens":"fused","width":64,"window_start":"episode"})");
}

TEST_CASE("A configuration names its unknown, missing and impossible keys", "[io]") {
  CHECK(has(config_error("widht", 3), "config: unknown key \"widht\" (known: context, "));
  CHECK(config_error("width", 2.5) == "config: \"width\": should be a whole number, it is 2.5");
  CHECK(has(config_error("width", 1'000'002), "config: transformer: width is 1000002"));
  CHECK(has(config_error("width", 25), "config: transformer: width is 25, it must be a multiple of head_count, 6"));
  CHECK(config_error("positions", "round") == "config: \"positions\" is \"round\", it must be learned or rotary");
  CHECK(config_error("reward_scale", "1") == "config: \"reward_scale\" should be a number, it is \"1\"");
  Json json = parse_json(json_text(unusual_config()).text(), "config");
  json.erase("tokens");
  CHECK(error_of([&] { (void)config_from_json<TransformerConfig>(json, "config"); }) ==
        "config: \"tokens\" is missing");
}

TEST_CASE("Every kind of field is written under its key and comes back", "[io]") {
  for (const EveryField& config : {EveryField{}, unusual_fields()}) {
    const std::string text = json_text(config).text();
    CAPTURE(text);
    CHECK(config_from_json<EveryField>(parse_json(text, "config"), "config") == config);
  }
  CHECK(json_text(EveryField{}).text() == R"({"depth":0,"rate":0.5,"shade":"light","title":"none","width":4})");
  CHECK(json_text(unusual_fields()).text() ==
        R"({"depth":3,"rate":0.1,"shade":"dark","sizes":[7,1,99],"title":"a \"b\"","width":9})");
}

TEST_CASE("Every field but an optional list is required, and checked by its range", "[io]") {
  const auto error = [](const char* key, const Json& value) {
    Json json = parse_json(json_text(unusual_fields()).text(), "config");
    value.is_null() ? static_cast<void>(json.erase(key)) : static_cast<void>(json[key] = value);
    return error_of([&] { (void)config_from_json<EveryField>(json, "config"); });
  };

  for (const char* key : {"depth", "rate", "shade", "title", "width"})
    CHECK(error(key, nullptr) == fmt::format("config: \"{}\" is missing", key));
  CHECK(error("sizes", nullptr).empty());
  CHECK(error("size", {1}) == "config: unknown key \"size\" (known: depth, rate, shade, sizes, title, width)");
  CHECK(error("width", 10) == "config: width is 10, it must lie in 1 .. 9");
  CHECK(error("sizes", 5) == "config: \"sizes\" should be a list, it is 5");
  CHECK(error("sizes", {5, 2.5}) == "config: \"sizes\": should be a whole number, it is 2.5");
  CHECK(error("sizes", {5, 0}) == "config: sizes[1] is 0, it must lie in 1 .. 99");
  CHECK(error("title", 3) == "config: \"title\" should be a text, it is 3");
  CHECK(error("shade", "grey") == "config: \"shade\" is \"grey\", it must be light or dark");
}

TEST_CASE("Lists by layer stand in JSON only where a configuration has them", "[io]") {
  TransformerConfig config{.width = 24, .layer_count = 2, .head_count = 6, .layer_heads = {6, 2}};

  CHECK(has(json_text(config).text(), R"("layer_count":2,"layer_heads":[6,2],"positions")"));
  CHECK(config_from_json<TransformerConfig>(parse_json(json_text(config).text(), "config"), "config") == config);
  CHECK(config_error("layer_hidden", {5, 6}) ==
        "config: transformer: layer_hidden has 2 entries, layer_count is 3 (leave it empty if all layers are alike)");
}

TEST_CASE("Labels come back from JSON as they were", "[io]") {
  const SpaceLabels labels{.observations = {{.name = "angle", .unit = "rad"}, {.name = "\u00e4", .scale = 0.1}},
                           .actions = {}};
  const std::string text = json_text(labels).text();

  CHECK(text ==
        "{\"actions\":[],\"observations\":[{\"name\":\"angle\",\"scale\":1.0,\"unit\":\"rad\"},{\"name\":"
        "\"\u00e4\",\"scale\":0.1,\"unit\":\"\"}]}");
  CHECK(space_labels_from_json(parse_json(text, "labels"), "labels") == labels);
  const auto error = [](const char* json) {
    return error_of([&] { (void)space_labels_from_json(parse_json(json, "labels"), "labels"); });
  };
  CHECK(error(R"({"actions":[]})") == "labels: \"observations\" is missing");
  CHECK(error(R"({"actions":[{"name":"a","unit":""}],"observations":[]})") ==
        "labels: actions[0]: \"scale\" is missing");
  CHECK(error(R"({"actions":[],"observations":[],"rewards":[]})") ==
        "labels: unknown key \"rewards\" (known: actions, observations)");
}

TEST_CASE("Spaces and layouts come back from JSON as they were", "[io]") {
  const Space spaces[] = {Discrete{5}, MultiDiscrete{{9, 65535}}, Box{{-1, -infinity}, {0.1f, infinity}}};
  for (const Space& observations : spaces) {
    for (const Space& actions : spaces) {
      const StepLayout layout{.observation_space = observations, .action_space = actions, .closing_token = true};
      const std::string text = json_text(layout).text();
      CAPTURE(text);
      CHECK(step_layout_from_json(parse_json(text, "layout"), "layout") == layout);
    }
  }
}

TEST_CASE("A layout whose actions are pixels is refused", "[io]") {
  const StepLayout layout{.observation_space = Discrete{2}, .action_space = image_box(1, 2, 1)};
  CHECK(has(error_of([&] { (void)step_layout_from_json(parse_json(json_text(layout).text(), "layout"), "layout"); }),
            "layout: action space: the numbers of an action must be f32, not u8"));
}

TEST_CASE("A box tells its shape and element type only where they are not the default", "[io]") {
  const auto text = [](const Space& space) { return json_text(space).text(); };
  const Space spaces[] = {Box{{0}, {1}}, image_box(1, 2, 1), Box{{0, 0}, {1, 0.5f}, {2, 1}},
                          Box{{0}, {65535}, {}, ElementType::u16}};

  CHECK(text(spaces[0]) == R"({"box":{"high":[1.0],"low":[0.0]}})");
  CHECK(text(spaces[1]) == R"({"box":{"element":"u8","high":[255.0,255.0],"low":[0.0,0.0],"shape":[1,2,1]}})");
  CHECK(text(spaces[2]) == R"({"box":{"high":[1.0,0.5],"low":[0.0,0.0],"shape":[2,1]}})");
  CHECK(text(spaces[3]) == R"({"box":{"element":"u16","high":[65535.0],"low":[0.0]}})");
  for (const Space& space : spaces) CHECK(space_from_json(parse_json(text(space), "space"), "space") == space);
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
  CHECK(has(space_error(R"({"box": {"low": ["nan"], "high": [1]}})"), "holds \"nan\", which is not a 32-bit number"));
  CHECK(has(space_error(R"({"box": {"low": [1e300], "high": [1]}})"), "which is not a 32-bit number"));
  CHECK(has(space_error(R"({"box": {"low": [0], "high": [1], "hgih": 3}})"), "unknown key \"hgih\""));
  CHECK(has(space_error(R"({"box": {"low": [0], "high": [1], "element": "u4"}})"), "it must be f32 or u16 or u8"));
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

  const std::string text = json_text(unusual_config()).text();

  CHECK(has(text, "\"reward_scale\":0.1,"));
  CHECK(config_from_json<TransformerConfig>(parse_json(text, "config"), "config") == unusual_config());
}
