// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/distil.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/history/add_extra_feature.hpp>
#include <icrl/io/model_file.hpp>
#include <icrl/model/image_step_encoder.hpp>
#include <icrl/model/recurrent_model.hpp>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/recomputation.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

StepLayout with_sensors(StepLayout layout) {
  layout.extra_features = {{"far", 2}, {"near", 1}};
  return layout;
}

/// Numbers of both sensors at step t of a made-up life.
std::vector<float> sensors_at(std::size_t t) {
  const auto x = static_cast<float>(t);
  return {std::sin(x), 0.1f * x, std::cos(3 * x)};
}

/// A made-up life, as an agent over a model with sensors meets it.
template <typename Agent>
void live(Agent& agent, const FakeStep& step, std::size_t t, Rng& rng) {
  std::vector<float> action(step.action.size());
  agent.act(step.observation, sensors_at(t), {}, action, rng);
  agent.learn({.observation = step.observation,
               .action = step.action,
               .reward = step.reward,
               .next_observation = step.next_observation,
               .truncated = step.is_last});
}

}  // namespace

TEST_CASE("At every step an agent says what the model says to rows with the same extra features", "[train]") {
  for (const bool closing_token : {false, true}) {
    const StepLayout layout = with_sensors(id_layout(closing_token));
    const auto model = small_model<double>(small_config(12), layout);
    InContextAgent agent{model};
    Recomputation recomputation{model};
    StepStream stream{layout};
    std::vector<float> row(static_cast<std::size_t>(layout.feature_count()));
    Rng rng{1};
    const auto life = fake_life(layout, 80, 5, 3);

    for (std::size_t t = 0; t < life.size(); ++t) {
      stream.observe(life[t].observation, sensors_at(t), row);
      recomputation.add(row);
      live(agent, life[t], t, rng);
      REQUIRE(difference<double>(recomputation.last_outputs(agent.remembered_steps()), agent.outputs()) <
              streaming_tolerance<double>);
      stream.record(life[t].action, life[t].reward, life[t].is_last);
      if (!life[t].is_last || !closing_token) continue;
      stream.close(life[t].next_observation, row);
      recomputation.add(row);
    }
  }
}

TEST_CASE("Agents with extra features watch, are saved and restored, and allocate nothing", "[train]") {
  const StepLayout layout = with_sensors(id_layout(true));
  const auto model = small_model<float>(small_config(12), layout);
  InContextAgent agent{model}, watcher{model}, restored{model};
  Rng rng{1};
  const auto life = fake_life(layout, 60, 5, 3);
  const std::vector<float> some = sensors_at(7);
  const TemporaryFolder folder;
  for (std::size_t t = 0; t < 40; ++t) {
    live(agent, life[t], t, rng);
    Transition seen{.observation = life[t].observation,
                    .action = life[t].action,
                    .reward = life[t].reward,
                    .next_observation = life[t].next_observation,
                    .truncated = life[t].is_last};
    const std::vector<float> sensors = sensors_at(t);
    seen.extra_features = sensors;
    watcher.learn(seen);
  }
  agent.save(folder / "memory");
  restored.restore(folder / "memory");
  std::vector<float> action(1);
  for (auto* const each : {&agent, &watcher, &restored}) each->act(life[40].observation, some, {}, action, rng);

  CHECK(std::ranges::equal(agent.outputs(), watcher.outputs()));
  CHECK(std::ranges::equal(agent.outputs(), restored.outputs()));
  agent.learn({life[40].observation, action, 0, life[40].next_observation, true, false});
  const AllocationCount allocations;
  agent.act(life[41].observation, some, {}, action, rng);
  CHECK(allocations.count() == 0);
}

TEST_CASE("Extra features that are missing or not finite are refused, and nothing changes", "[train]") {
  const StepLayout layout = with_sensors(id_layout());
  const auto model = small_model<float>(small_config(12), layout);
  InContextAgents agents{model, 2};
  std::vector<Rng> rngs{Rng{1}, Rng{2}};
  const std::vector<int> members{0, 1};
  std::vector<float> actions(2);
  const auto refusal = [&](const std::vector<float>& features) {
    return error_of([&] {
      agents.act(
          {.members = members, .observations = std::vector<float>{0, 0, 1, 1}, .masks = {}, .extra_features = features},
          actions, rngs);
    });
  };

  CHECK(refusal({1, 2, 3}) ==
        "in-context agents: extra_features holds 3 numbers; 2 members with far (2), near (1) need 6");
  CHECK(refusal({1, 2, 3, 4, 5, std::numeric_limits<float>::quiet_NaN()}) ==
        "in-context agents: the extra features of member 1 are (4, 5, nan), each must be finite");
  CHECK(agents.remembered_steps(0) == 0);
  CHECK(refusal({1, 2, 3, 4, 5, 6}).empty());

  const auto plain = small_model<float>(small_config(12), id_layout());
  InContextAgent agent{plain};
  std::vector<float> action(1);
  CHECK(has(error_of([&] {
              agent.act(std::vector<float>{0, 0}, sensors_at(1), {}, action, rngs[0]);
            }),
            "extra_features holds 3 numbers; 1 members with none need 0"));
}

TEST_CASE("Files and descriptions tell models with extra features from others", "[train]") {
  const StepLayout layout = with_sensors(id_layout());
  const auto model = small_model<float>(small_config(12), layout),
             plain = small_model<float>(small_config(12), id_layout());
  const TemporaryFolder folder;
  save_model(model, folder / "model");

  const auto loaded = load_model<float>(folder / "model");
  CHECK(loaded.layout == layout);
  CHECK(weights_of(loaded) == weights_of(model));
  CHECK(CausalTransformer<float>::weight_count(model.config, layout) == parameter_count(model));
  CHECK(describe(model) == describe(plain) + ", extra features far (2), near (1)");
  CHECK(difference(layout, id_layout()) == "extra features far (2), near (1) and none");
  CHECK(json_text(layout).text() ==
        R"({"action_space":{"discrete":3},"closing_token":false,"extra_features":[{"name":"far","size":2},)"
        R"({"name":"near","size":1}],"observation_space":{"multi_discrete":[4,5]}})");
  CHECK(json_text(id_layout()).text() ==
        R"({"action_space":{"discrete":3},"closing_token":false,"observation_space":{"multi_discrete":[4,5]}})");
  const auto error = [](const char* extras) {
    const Json json = parse_json(fmt::format(R"({{"action_space":{{"discrete":3}},"closing_token":false,)"
                                             R"("extra_features":{},"observation_space":{{"discrete":4}}}})",
                                             extras),
                                 "it");
    return error_of([&] { (void)step_layout_from_json(json, "it"); });
  };
  CHECK(error(R"([{"name":"a","size":3}])").empty());
  CHECK(error(R"([{"name":"a","size":0}])") == "it: extra_features: \"size\": is 0, it must lie in 1 .. 65536");
  CHECK(error(R"([{"name":"a b","size":1}])").starts_with("it: extra feature 0 has the name \"a b\""));
  CHECK(error(R"([{"name":"a","size":1,"unit":"m"}])").starts_with("it: extra_features: unknown key \"unit\""));
}

TEST_CASE("A model that is told the return that is wanted learns to earn it", "[train]") {
  // Action a of three earns a, whatever is seen; half of what was recorded is noise, so that only the return says which
  // action follows.
  const StepLayout plain{.observation_space = Discrete{2}, .action_space = Discrete{3}};
  StepLayout layout = plain;
  layout.extra_features = {{"return_to_go", 1}};
  std::vector<LearningHistory> histories;
  Rng rng{9};
  for (int h = 0; h < 3; ++h) {
    LearningHistory history{{.observation_space = plain.observation_space, .action_space = plain.action_space}};
    HistoryRecorder recorder{history};
    for (int episode = 0; episode < 60; ++episode) {
      recorder.begin_episode(std::vector<float>{static_cast<float>(rng.below(2))});
      const auto action = static_cast<float>(rng.below(3));
      recorder.step(std::vector<float>{action}, action, std::vector<float>{0}, true, false);
    }
    histories.push_back(with_return_to_go(history.view()));
  }
  const WindowSampler sampler{views(histories), layout, {.context = 8}};
  const auto check = [&](auto model) {
    model.initialize(rng);
    DistilConfig config = small_distil(150);
    config.learning_rate = 0.01;
    (void)distil(model, sampler, config);

    InContextAgent agent{model, {.temperature = 0}};
    std::vector<float> action(1);
    int right = 0;
    for (int t = 0; t < 90; ++t) {
      const std::vector<float> observation{static_cast<float>(rng.below(2))}, wanted{static_cast<float>(t % 3)};
      agent.act(observation, wanted, {}, action, rng);
      right += action[0] == wanted[0] ? 1 : 0;
      agent.learn({observation, action, action[0], observation, true, false});
    }
    CHECK(right >= 85);
  };
  check(CausalTransformer<float>{small_config(8), layout});
  check(RecurrentModel<float>{{.width = 16, .layer_count = 1, .state_size = 16, .hidden = 32}, layout});
}

TEST_CASE("Images and extra features stand in one step", "[train]") {
  const StepLayout layout = with_sensors({.observation_space = image_box(3, 3, 1), .action_space = Discrete{3}});
  CausalTransformer<double, ImageParts<double>> model{small_config(12), layout};
  Rng rng{1};
  model.initialize(rng);
  InContextAgent agent{model};
  Recomputation recomputation{model};
  StepStream stream{layout};
  std::vector<float> row(static_cast<std::size_t>(layout.feature_count()));
  const auto life = fake_life(layout, 40, 5, 3);

  for (std::size_t t = 0; t < life.size(); ++t) {
    stream.observe(life[t].observation, sensors_at(t), row);
    recomputation.add(row);
    live(agent, life[t], t, rng);
    REQUIRE(difference<double>(recomputation.last_outputs(agent.remembered_steps()), agent.outputs()) <
            streaming_tolerance<double>);
    stream.record(life[t].action, life[t].reward, life[t].is_last);
  }
  CHECK(parameter_count(model) == decltype(model)::weight_count(model.config, layout));
}
