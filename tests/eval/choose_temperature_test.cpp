// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/eval/choose_temperature.hpp>

#include <utility>
#include <vector>

#include <icrl/env/dark_room.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_model.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

const DarkRooms tiny_rooms{{.side = 3, .horizon = 6}};
const std::vector<int> three_tasks{0, 4, 8};
const EvaluationConfig short_lives{.runs = 4, .episodes = 5, .seed = 3, .thread_count = 1};

/// It nearly always stays where it is: at the goal of task 4, and far from all others.
CausalTransformer<float> staying_model() {
  const DarkRoom room = tiny_rooms.make(0);
  auto model = small_model({.width = 16, .layer_count = 1, .head_count = 2, .context = 24},
                           {.observation_space = room.observation_space(), .action_space = room.action_space()});
  model.head.weight.setZero();
  model.head.bias.setZero();
  model.head.bias(DarkRoom::stay) = 20;
  return model;
}

}  // namespace

TEST_CASE("An agent that stays needs a high temperature where the goal is elsewhere, and none at the goal", "[eval]") {
  const auto model = staying_model();
  const std::vector<double> candidates{0.5, 50, 1};

  const TemperatureChoice away = choose_temperature(model, tiny_rooms, std::vector{0, 8}, candidates, short_lives);
  const TemperatureChoice at_goal = choose_temperature(model, tiny_rooms, std::vector{4}, candidates, short_lives);

  CHECK(away.temperature == 50);
  CHECK(at_goal.temperature == 0.5);  // as good as 1, and the first of the two
  CHECK(at_goal.scores[0].mean_return.value == 6);
}

TEST_CASE("A score of a temperature is what evaluation at it says", "[eval]") {
  const auto model = staying_model();
  std::vector<std::pair<std::size_t, std::size_t>> progress;
  const auto count = [&](std::size_t done, std::size_t total) { progress.emplace_back(done, total); };

  const TemperatureChoice choice = choose_temperature(model, tiny_rooms, three_tasks, std::vector<double>{2, 9},
                                                      short_lives, {.min_p = 1e-9}, count);

  REQUIRE(choice.scores.size() == 2);
  CHECK(choice.scores[1].temperature == 9);
  const LearningCurves curves =
      evaluate(model, tiny_rooms, three_tasks, short_lives, {.temperature = 9, .min_p = 1e-9});
  CHECK(choice.scores[1].mean_return.value == estimate_mean(curves.mean_by_task(1, 5)).value);
  CHECK(progress.back() == std::pair<std::size_t, std::size_t>{24, 24});
}

TEST_CASE("Without candidates, tasks or sense nothing is chosen", "[eval]") {
  const auto model = staying_model();
  const auto error_with = [&](std::vector<double> candidates, std::vector<int> which) {
    return error_of([&] { (void)choose_temperature(model, tiny_rooms, which, candidates, short_lives); });
  };

  CHECK(error_with({}, three_tasks) == "choose_temperature: there are no candidates");
  CHECK(error_with({1}, {}) == "choose_temperature: there are no tasks, give it validation tasks");
  CHECK(error_with({1, -1}, three_tasks) == "decoding: temperature is -1, it must be 0 (greedy) or more");
}
