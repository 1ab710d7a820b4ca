// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/judge.hpp>

#include <cmath>

#include <icrl/compress/to_int8.hpp>

#include "support/catch.hpp"
#include "support/dark_room_models.hpp"
#include "support/tiny_environments.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

JudgeConfig quick_judge() {
  return {.evaluation = {.runs = 2, .episodes = 12}, .agreement = {.episodes = 2}, .timed_steps = 16};
}

/// Always takes one action, with a probability near 1.
CausalTransformer<float> stubborn_model(int action) {
  CausalTransformer<float> model{{.width = 4, .layer_count = 1, .head_count = 1, .context = 24}, small_room_layout()};
  model.head.bias(action) = 50;
  return model;
}

/// TurnTaking that ends the program's patience with the first forbidden action.
struct StrictTurnTaking : TurnTaking {
  StepResult step(int action, Rng& rng) {
    if (action % 2 != time % 2) fail("action {} at time {}", action, time);
    return TurnTaking::step(action, rng);
  }
};
struct StrictTurns : CopiesOf<StrictTurnTaking> {
  [[nodiscard]] static double oracle_return(int) { return 6; }
};

}  // namespace

TEST_CASE("An agent that is timed obeys masks", "[compress]") {
  const TurnTaking env;
  const StepLayout layout{.observation_space = env.observation_space(), .action_space = env.action_space()};
  const auto model = small_model({.width = 8, .layer_count = 1, .head_count = 1, .context = 12}, layout, 1);
  const std::vector<int> tasks{0, 1};

  const CompressionReport report = judge(model, model, StrictTurns{}, tasks, quick_judge());

  CHECK(report.original.area.value == 1);
  CHECK(report.original.us_per_action > 0);
}

TEST_CASE("A model that is judged beside itself costs and earns the same", "[compress]") {
  const auto model = small_room_model(1);

  const CompressionReport report = judge(model, model, small_rooms(), small_room_tasks(), quick_judge());

  REQUIRE(report.area_ratio.has_value());
  CHECK(report.area_ratio->value == 1);
  CHECK(report.area_ratio->interval.low == 1);
  CHECK(report.agreement.share == 1);
  CHECK(report.original.weight_bytes == 4 * parameter_count(model));
  CHECK(report.original.weight_bytes == report.compressed.weight_bytes);
  CHECK(report.original.memory_bytes > 4 * 24 * 2 * 16);
  CHECK(report.original.return_by_episode == report.compressed.return_by_episode);
  CHECK(report.original.us_per_action > 0);
  CHECK(report.original.us_per_action_p99 >= report.original.us_per_action);
  CHECK_FALSE(report.agrees_but_improves_less());
}

TEST_CASE("Areas and worst tasks are shares of the oracle", "[compress]") {
  // The start is the goal of task 12: who never moves is paid in each of 8 steps, and elsewhere never.
  const auto stays = stubborn_model(0), moves = stubborn_model(1);
  const std::vector<int> tasks{12, 12};

  const CompressionReport report = judge(stays, moves, small_rooms(), tasks, quick_judge());

  CHECK(report.original.area.value == Approx(1));
  CHECK(report.original.worst_task == Approx(1));
  CHECK(report.original.unlearned_tasks.empty());
  CHECK(report.compressed.area.value < 0.2);
  CHECK(report.compressed.unlearned_tasks.size() == 2);
  REQUIRE(report.area_ratio.has_value());
  CHECK(report.area_ratio->value == Approx(report.compressed.area.value));
  CHECK(report.agreement.share == 0);
}

TEST_CASE("A report says if steps agree and improvement is lost", "[compress]") {
  CompressionReport report{.original = {}, .compressed = {}};
  report.agreement.share = 0.995;
  report.area_ratio = Estimate{0.95, {0.93, 0.97}};
  CHECK(report.agrees_but_improves_less());
  report.area_ratio->interval.high = 0.99;
  CHECK_FALSE(report.agrees_but_improves_less());
  report = {.original = {}, .compressed = {}, .agreement = {.share = 0.9}, .area_ratio = Estimate{0.9, {0.9, 0.9}}};
  CHECK_FALSE(report.agrees_but_improves_less());
}

TEST_CASE("An integer model takes fewer bytes, and what cannot be judged is refused", "[compress]") {
  const auto model = small_room_model(1);
  const Int8Transformer integers = to_int8(model);

  const CompressionReport report = judge(model, integers, small_rooms(), small_room_tasks(), quick_judge());

  CHECK(report.compressed.weight_bytes < report.original.weight_bytes);
  CHECK(report.compressed.memory_bytes < report.original.memory_bytes);
  const TransformerConfig& shape = model.config;  // keys and values of every token and head in bytes, with two scales
  CHECK(report.compressed.memory_bytes >=
        Index{shape.layer_count} * shape.head_count * shape.context * (2 * shape.head_size() + 8));
  CHECK_THROWS_WITH(judge(model, integers, small_rooms(), {}, quick_judge()), ContainsSubstring("there are no tasks"));
  JudgeConfig bad = quick_judge();
  bad.timed_steps = -1;
  CHECK_THROWS_WITH(judge(model, integers, small_rooms(), small_room_tasks(), bad),
                    ContainsSubstring("timed_steps is -1"));
  // Without the task whose goal is the start, of which some resamples consist, the original earns nothing.
  const std::vector<int> mixed{0, 12};
  CHECK_FALSE(judge(stubborn_model(0), integers, small_rooms(), mixed, quick_judge()).area_ratio.has_value());
  const std::vector<int> far{0};
  CHECK_THROWS_WITH(judge(stubborn_model(0), integers, small_rooms(), far, quick_judge()),
                    ContainsSubstring("the original earns 0"));
}
