// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/agent/prompt.hpp>

#include <algorithm>
#include <array>
#include <vector>

#include <icrl/env/dark_room.hpp>
#include <icrl/history/history_recorder.hpp>
#include <icrl/learner/random_learner.hpp>
#include <icrl/learner/run.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_model.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

constexpr DarkRoomOptions prompted_room{.side = 3, .horizon = 4, .terminate_at_goal = true};

CausalTransformer<float> model_of_prompts(int context, bool closing_token = false) {
  const DarkRoom room{prompted_room, {0, 0}};
  return small_model(small_config(context), {.observation_space = room.observation_space(),
                                             .action_space = room.action_space(),
                                             .closing_token = closing_token});
}

/// The outputs of an agent for an observation that it meets now.
std::vector<float> outputs_at(InContextAgent<CausalTransformer<float>> agent, std::array<float, 2> observation) {
  std::array<float, 1> action{};
  Rng rng{1};
  agent.act(observation, action, rng);
  return {agent.outputs().begin(), agent.outputs().end()};
}

}  // namespace

TEST_CASE("A prompted agent goes on as the agent that lived the history", "[agent]") {
  for (const bool closing_token : {false, true}) {
    for (const int context : {6, 40}) {  // shorter and longer than the history
      const auto model = model_of_prompts(context, closing_token);
      InContextAgent lived{model};
      const LearningHistory history = run(lived, DarkRoom{prompted_room, {0, 0}}, 5, Rng{3});

      InContextAgent prompted{model};
      prompt(prompted, history.view(), 0, 5);

      CHECK(prompted.remembered_steps() == lived.remembered_steps());
      CHECK(outputs_at(prompted, {1, 1}) == outputs_at(lived, {1, 1}));
      CHECK(outputs_at(prompted, {1, 1}) != outputs_at(InContextAgent{model}, {1, 1}));
    }
  }
}

TEST_CASE("A prompt may be a part of a history, in pieces", "[agent]") {
  const auto model = model_of_prompts(40);
  RandomPolicy learner{Discrete{5}};
  const LearningHistory history = run(learner, DarkRoom{prompted_room, {0, 0}}, 6, Rng{3});
  InContextAgent whole{model}, pieces{model}, nothing{model};

  prompt(whole, history.view(), 2, 3);
  prompt(pieces, history.view(), 2, 1);
  prompt(pieces, history.view(), 3, 2);
  prompt(nothing, history.view(), 6, 0);

  CHECK(outputs_at(whole, {1, 1}) == outputs_at(pieces, {1, 1}));
  CHECK(nothing.remembered_steps() == 0);
}

TEST_CASE("A prompt that does not fit is refused", "[agent]") {
  const auto model = model_of_prompts(10);
  RandomPolicy learner{Discrete{5}};
  const LearningHistory history = run(learner, DarkRoom{prompted_room, {0, 0}}, 2, Rng{3});
  InContextAgent agent{model};
  CHECK(error_of([&] { prompt(agent, history.view(), 1, 2); }) ==
        "prompt: 2 episodes from 1 on are requested, but the history has 2");
  CHECK(has(error_of([&] { prompt(agent, history.view(), -1, 1); }), "from -1 on"));
  CHECK(has(error_of([&] { prompt(agent, history.view(), 0, -1); }), "-1 episodes"));

  const LearningHistory other = run(learner, DarkRoom{{.side = 4}, {0, 0}}, 1, Rng{3});
  CHECK(!error_of([&] { prompt(agent, other.view(), 0, 1); }).empty());
  CHECK(agent.remembered_steps() == 0);

  const std::array<float, 2> observation{1, 1};
  std::array<float, 1> action{};
  Rng rng{1};
  agent.act(observation, action, rng);
  CHECK(has(error_of([&] { prompt(agent, history.view(), 0, 1); }), "within an episode of its own"));
  agent.learn({.observation = observation, .action = action, .reward = 0, .next_observation = observation});
  CHECK_FALSE(agent.at_episode_start());
  CHECK(has(error_of([&] { prompt(agent, history.view(), 0, 1); }), "within an episode of its own"));
}

TEST_CASE("A prompt takes a model's extra features by name", "[agent]") {
  StepLayout layout{.observation_space = Discrete{3}, .action_space = Discrete{2}};
  layout.extra_features = {{"a", 1}, {"b", 2}};
  const auto model = small_model(small_config(8), layout);
  const auto recorded = [](const std::vector<ExtraFeature>& features, const std::vector<float>& numbers) {
    LearningHistory history{
        {.observation_space = Discrete{3}, .action_space = Discrete{2}, .extra_features = features}};
    HistoryRecorder recorder{history};
    recorder.begin_episode(std::array{0.0f});
    recorder.step(std::array{1.0f}, 1, std::array{2.0f}, false, true, {.extra_features = numbers});
    return history;
  };
  const auto outputs_after = [&](const LearningHistory& history) {
    InContextAgent agent{model};
    prompt(agent, history.view(), 0, 1);
    std::array<float, 1> action{};
    Rng rng{1};
    agent.act(std::array{1.0f}, std::array{0.0f, 0.0f, 0.0f}, {}, action, rng);
    return std::vector<float>(agent.outputs().begin(), agent.outputs().end());
  };

  const auto plain = outputs_after(recorded({{"a", 1}, {"b", 2}}, {1, 5, 6}));

  CHECK(outputs_after(recorded({{"b", 2}, {"a", 1}}, {5, 6, 1})) == plain);
  CHECK(outputs_after(recorded({{"c", 1}, {"a", 1}, {"b", 2}}, {9, 1, 5, 6})) == plain);
  CHECK(outputs_after(recorded({{"a", 1}, {"b", 2}}, {2, 5, 6})) != plain);
  CHECK(error_of([&] {
          (void)outputs_after(recorded({{"a", 1}, {"c", 2}}, {1, 5, 6}));
        }) == "prompt: the model reads the extra feature b (2), but the history has a (1), c (2)");
}

TEST_CASE("An episode that is longer than the context is refused before the agent has changed", "[agent]") {
  const auto model = model_of_prompts(3);
  RandomPolicy learner{Discrete{5}};
  const LearningHistory history = run(learner, DarkRoom{{.side = 3, .horizon = 2}, {0, 0}}, 1, Rng{3}),
                        too_long = run(learner, DarkRoom{{.side = 3, .horizon = 4}, {0, 0}}, 1, Rng{3});
  InContextAgent agent{model};
  prompt(agent, history.view(), 0, 1);

  CHECK(error_of([&] { prompt(agent, too_long.view(), 0, 1); }) ==
        "prompt: episode 0 has 4 steps, but the model's context is 3, and no episode may be longer");
  CHECK(agent.at_episode_start());
  CHECK(agent.remembered_steps() == 2);
  CHECK_NOTHROW(prompt(agent, history.view(), 0, 1));
}
