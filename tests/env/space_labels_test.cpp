// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/env/space_labels.hpp>

#include <limits>

#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

SpaceLabels pendulum() {
  return {.observations = {{.name = "angle", .unit = "rad"}, {.name = "speed", .unit = "rad/s", .scale = 8}},
          .actions = {{.name = "torque", .unit = "N m", .scale = 2}}};
}

template <typename Change>
std::string difference_error(Change&& change) {
  SpaceLabels environment = pendulum();
  change(environment);
  return error_of([&] { require_same_labels(pendulum(), environment, "a.safetensors"); });
}

}  // namespace

TEST_CASE("Labels that differ are refused with both values", "[env]") {
  CHECK(difference_error([](auto&) {}).empty());
  CHECK(difference_error([](auto& labels) { labels.observations[1].unit = "deg/s"; }) ==
        "a.safetensors: observations[1] is \"speed\", unit \"rad/s\", scale 8 in the model and \"speed\", unit "
        "\"deg/s\", scale 8 in the environment (was the model trained on another environment?)");
  CHECK(has(difference_error([](auto& labels) { std::swap(labels.observations[0], labels.observations[1]); }),
            "observations[0] is \"angle\", unit \"rad\", scale 1 in the model and \"speed\", "));
  CHECK(has(difference_error([](auto& labels) { labels.actions[0].scale = 1; }),
            "actions[0] is \"torque\", unit \"N m\", scale 2 in the model and \"torque\", unit \"N m\", scale 1"));
  CHECK(difference_error([](auto& labels) { labels.observations.pop_back(); }) ==
        "a.safetensors: the model labels 2 observations, the environment labels 1");
}

TEST_CASE("Who does not say what components mean is not refused", "[env]") {
  CHECK(difference_error([](auto& labels) { labels = {}; }).empty());
  CHECK(difference_error([](auto& labels) { labels.actions.clear(); }).empty());
  CHECK(SpaceLabels{}.empty());
  CHECK_FALSE(pendulum().empty());
}

TEST_CASE("Labels belong to their spaces", "[env]") {
  const Space observations = Box{{-3, -8}, {3, 8}}, actions = Box{{-2}, {2}};
  const auto error = [&](const SpaceLabels& labels) {
    return error_of([&] { validate(labels, observations, actions, "labels"); });
  };

  CHECK(error(pendulum()).empty());
  CHECK(error({}).empty());
  CHECK(error({.observations = {{.name = "angle"}}}) ==
        "labels: 1 label(s) for observations, but box([-3, -8], [3, 8]) has 2 components");
  CHECK(error({.actions = {{.scale = 0}}}) == "labels: the scale of actions[0] is 0, it must be finite and not 0");
  CHECK(
      has(error({.actions = {{.scale = std::numeric_limits<double>::infinity()}}}), "the scale of actions[0] is inf"));
}
